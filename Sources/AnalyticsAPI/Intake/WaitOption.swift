internal import AnalyticsCore

/// `?wait=stored&timeout=2.5`: whether and how long the response waits until the events can be queried.
enum WaitOption {
    static let parameters = ["wait", "timeout"]
    static let standard: Duration = .seconds(5)
    static let longest: Duration = .seconds(30)

    /// `nil` if the response does not wait.
    static func timeout(_ parameters: QueryParameters) throws(Problem) -> Duration? {
        let wait = try parameters.single("wait")
        let timeout = try parameters.single("timeout").map { (text) throws(Problem) in try duration(text) }
        switch wait {
        case nil:
            guard timeout == nil else { throw QueryParameters.invalid("timeout", "means something only beside wait=stored.") }
            return nil
        case "stored": return timeout ?? standard
        default: throw QueryParameters.invalid("wait", "may be 'stored', or be left out.")
        }
    }

    private static func duration(_ text: String) throws(Problem) -> Duration {
        let (suffix, unit): (Int, Double) = text.ends(withUTF8: "ms") ? (2, 1) : (text.ends(withUTF8: "s") ? 1 : 0, 1000)
        let number = text.trimmingUTF8(last: suffix)
        let isPlain = number.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }
        guard isPlain, let value = Double(number), value * unit <= longest.seconds * 1000 else {
            throw QueryParameters.invalid("timeout", "must be seconds, as 5, 0.5, 5s or 500ms, from 0 to \(longest.components.seconds).")
        }
        return .milliseconds(Int64(value * unit))
    }
}
