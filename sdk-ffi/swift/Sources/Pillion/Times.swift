import Foundation

/// Between the library's numbers and Swift's own types.
enum Times {
    static func moment(_ parts: TimeParts) -> Date {
        Date(timeIntervalSince1970: Double(parts.seconds) + Double(parts.nanos) / 1e9)
    }

    static func parts(_ moment: Date) -> TimeParts {
        let seconds = moment.timeIntervalSince1970.rounded(.down)
        let nanos = ((moment.timeIntervalSince1970 - seconds) * 1e9).rounded()
        return TimeParts(seconds: Int64(seconds), nanos: min(Int32(nanos), 999_999_999))
    }

    static func length(_ parts: TimeParts) -> Duration {
        .seconds(parts.seconds) + .nanoseconds(Int64(parts.nanos))
    }

    static func parts(_ length: Duration) -> TimeParts {
        let (seconds, attoseconds) = length.components
        return TimeParts(seconds: seconds, nanos: Int32(attoseconds / 1_000_000_000))
    }
}
