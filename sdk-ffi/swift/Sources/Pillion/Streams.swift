/// What gives answers one by one.
public protocol AnswerSource: AnyObject, Sendable {
    associatedtype Answer
    func next(cancel: FfiCancel?) async throws -> Answer?
    func shut()
}

/// Answers as they come: `for try await answer in stream`. The call ends with the loop, the task, or ``close()``.
public struct AnswerStream<Source: AnswerSource>: AsyncSequence, Sendable {
    public typealias Element = Source.Answer

    let source: Source

    init(_ source: Source) {
        self.source = source
    }

    /// Ends the call, and whatever waits for it.
    public func close() {
        source.shut()
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(source: source)
    }

    /// Takes the answers; the call ends when it is let go of.
    public final class Iterator: AsyncIteratorProtocol {
        let source: Source

        init(source: Source) {
            self.source = source
        }

        deinit {
            source.shut()
        }

        public func next() async throws -> Source.Answer? {
            try await cancellable { cancel in try await self.source.next(cancel: cancel) }
        }
    }
}

extension FfiEntries: AnswerSource {
    public typealias Answer = StateEntry
}

extension FfiChanges: AnswerSource {
    public typealias Answer = StateChange
}
