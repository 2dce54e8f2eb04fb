import Foundation

/// A runtime: in this process, or a sidecar.
///
/// ```swift
/// let p = try await Runtime.open()
/// _ = try await p.state.set("cart:42", Value("two items"))
/// ```
public struct Runtime: Sendable {
    let ffi: FfiRuntime

    /// The sidecar at `PILLION_ENDPOINT` if that is set, otherwise a runtime in this process.
    public static func open() async throws -> Runtime {
        try await cancellable { _ in Runtime(ffi: try await FfiRuntime.open()) }
    }

    /// A runtime in this process: in memory, or in a folder, or as a configuration file says.
    public static func embedded(
        dataDirectory: URL? = nil,
        configFile: URL? = nil,
        appId: String? = nil
    ) async throws -> Runtime {
        let options = FfiEmbedded(dataDir: dataDirectory?.path, configFile: configFile?.path, appId: appId, testing: false)
        return try await cancellable { _ in Runtime(ffi: try await FfiRuntime.embedded(options: options)) }
    }

    /// A sidecar: `http://HOST:PORT` or `unix:///PATH`. Nothing is connected until the first call.
    public static func connect(
        _ url: String = "http://127.0.0.1:34904",
        token: String? = nil,
        appId: String? = nil,
        timeout: Duration? = nil
    ) async throws -> Runtime {
        let options = FfiConnect(token: token, appId: appId, timeout: timeout, retries: nil, connections: nil)
        return try await cancellable { _ in Runtime(ffi: try await FfiRuntime.connect(url: url, options: options)) }
    }

    /// The calls as they are in the contract.
    public var apis: Apis { Apis(ffi: ffi) }

    /// The default state store; `p.state.store("orders")` is a named one.
    public var state: State { State(ffi: ffi, name: "") }

    /// Closes the connection, or stops the runtime.
    public func close() async throws {
        try await cancellable { _ in try await ffi.shut() }
    }
}

/// Values under keys, in one store.
public struct State: Sendable {
    let ffi: FfiRuntime
    let name: String

    /// The store that is declared under this name.
    public func store(_ name: String) -> State { State(ffi: ffi, name: name) }

    /// The bytes under a key; nil if there is none.
    public func get(_ key: String) async throws -> Data? { try await getEntry(key)?.value?.data }

    /// The entry under a key, with its etag, content type and remaining lifetime; nil if there is none.
    public func getEntry(_ key: String) async throws -> StateEntry? {
        try await Apis(ffi: ffi).state.get(key, store: name).entry
    }

    /// Writes a value.
    public func set(_ key: String, _ value: Value, ttl: Duration? = nil) async throws -> StateSetResponse {
        try await Apis(ffi: ffi).state.set(key, value, store: name, ttl: ttl)
    }

    /// Deletes an entry; says whether there was one.
    public func delete(_ key: String) async throws -> Bool {
        try await Apis(ffi: ffi).state.delete(key, store: name).existed
    }

    /// The entries whose key begins with `prefix`, fetched page by page as they are needed.
    public func list(_ prefix: String = "") throws -> AnswerStream<FfiEntries> {
        let call = CallOptions().call(FfiCancel())
        return AnswerStream(try ffi.listState(store: name, prefix: prefix, keysOnly: false, pageSize: nil, call: call))
    }

    /// Reports the entries whose key begins with `prefix`, then `synced`, and then every change, across lost
    /// connections.
    public func watch(_ prefix: String = "") async throws -> AnswerStream<FfiChanges> {
        try await called(CallOptions()) {
            AnswerStream(try await ffi.watchState(store: name, prefix: prefix, key: nil, call: $0))
        }
    }
}

extension Value {
    /// A text as a value.
    public init(_ text: String) {
        self.init(data: Data(text.utf8), contentType: "text/plain; charset=utf-8")
    }
}
