internal import AnalyticsCore
internal import AnalyticsJSON

/// A page of a list in the order of ids, the greatest first. Pure.
struct RecordPage: Sendable {
    static let parameters = ["limit", "cursor"]
    private static let limits = 1...1_000

    let limit: Int
    /// The last id of the page before.
    let cursor: String?

    init(_ parameters: QueryParameters) throws(Problem) {
        limit = try parameters.limit(in: Self.limits) ?? 100
        cursor = try parameters.single("cursor")
        guard cursor.map(Self.isID) ?? true else {
            throw QueryParameters.invalid("cursor", "must be the cursor of an earlier answer, unchanged.")
        }
    }

    /// The member with the cursor of the next page; null if this is the last.
    ///
    /// - Parameter ids: Those of this page.
    func next(_ ids: [String]) -> JSONPart {
        let next = ids.count < limit ? nil : ids.last
        return .once { $0.nullable("cursor", next) }
    }

    private static func isID(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) || $0 == UInt8(ascii: "-") }
    }
}
