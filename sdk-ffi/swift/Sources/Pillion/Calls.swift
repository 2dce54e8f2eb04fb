import Foundation

/// How one call differs from the others.
public struct CallOptions: Sendable {
    /// How long it may take; for a stream, the whole stream.
    public var timeout: Duration?
    /// The application on whose behalf it is made.
    public var appId: String?
    /// The token of the sidecar.
    public var token: String?
    /// The W3C trace it is part of.
    public var traceparent: String?

    public init(timeout: Duration? = nil, appId: String? = nil, token: String? = nil, traceparent: String? = nil) {
        self.timeout = timeout
        self.appId = appId
        self.token = token
        self.traceparent = traceparent
    }

    func call(_ cancel: FfiCancel) -> FfiCall {
        FfiCall(timeout: timeout, appId: appId, token: token, trace: traceparent, cancel: cancel)
    }
}

/// Makes a call that is dropped where it runs when the task is cancelled, and throws a ``PillionError``.
func called<T>(_ options: CallOptions, _ make: (FfiCall) async throws -> T) async throws -> T {
    try await cancellable { cancel in try await make(options.call(cancel)) }
}

func cancellable<T>(_ make: (FfiCancel) async throws -> T) async throws -> T {
    let cancel = FfiCancel()
    do {
        return try await withTaskCancellationHandler {
            try await make(cancel)
        } onCancel: {
            cancel.cancel()
        }
    } catch FfiError.Failed(let info) {
        if Task.isCancelled { throw CancellationError() }
        throw PillionError(info)
    } catch {
        throw PillionError(panicked(error))
    }
}

/// The error of a call that panicked in the library: nothing else can come out of one that failed otherwise.
private func panicked(_ error: Error) -> ErrorInfo {
    ErrorInfo(
        category: .internal,
        reason: "runtime.panic",
        message: "the call panicked: \(error)",
        outcome: .unknown,
        retryable: false,
        component: "",
        metadata: [:],
        retryAfter: nil,
        advice: "this is a defect; please report it"
    )
}
