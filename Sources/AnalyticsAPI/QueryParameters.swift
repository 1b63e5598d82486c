internal import AnalyticsCore
internal import AnalyticsJSON
internal import Hummingbird

/// A decoded query string. Parameters that the route does not know are errors, and none is ever read as a query operator.
struct QueryParameters {
    private var items: [(name: String, value: String)] = []

    /// Values per filter.
    static let maximumValues = 100

    /// - Parameters:
    ///   - allowed: The known parameters; `nil` if any is allowed.
    ///   - prefix: Parameters with this prefix are known too.
    init(_ request: Request, allowed: [String]?, prefix: String? = nil) throws(Problem) {
        try self.init([request.uri.query ?? ""], allowed: allowed, prefix: prefix)
    }

    /// Reads a query and a form together; both have the same syntax.
    init(_ texts: [String], allowed: [String]?, prefix: String? = nil) throws(Problem) {
        for pair in texts.flatMap({ $0.splitUTF8("&") }) {
            let parts = pair.splitUTF8("=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentEncoding.decode(parts[0], plusIsSpace: true),
                let value = PercentEncoding.decode(parts.count > 1 ? parts[1] : "", plusIsSpace: true),
                !name.utf8.contains(0), !value.utf8.contains(0)
            else { throw Problem(.invalidParameter, "The query is not percent-encoded UTF-8 without NUL: '\(String(pair).clipped)'.") }
            if let allowed, !allowed.contains(where: name.equalsUTF8), !(prefix.map(name.starts(withUTF8:)) ?? false) {
                throw Problem(.unknownParameter, Self.unknown(name, allowed + (prefix.map { ["\($0)<path>"] } ?? []))) {
                    $0.member("parameter", name.clipped)
                }
            }
            items.append((name, value))
        }
    }

    private static func unknown(_ name: String, _ allowed: [String]) -> String {
        let known = allowed.isEmpty ? "there are none" : allowed.joined(separator: ", ")
        return "'\(name.clipped)' is no parameter of this route. Known here: \(known)."
    }

    /// The parameters sorted by name and value, without `left`, and with `settled` in place of those with the same names.
    func query(without left: [String], with settled: [(name: String, value: String)] = []) -> String {
        let kept = items.filter { item in !(left + settled.map(\.name)).contains { $0.utf8.elementsEqual(item.name.utf8) } }
        return (kept + settled).map { "\(PercentEncoding.encode($0.name))=\(PercentEncoding.encode($0.value))" }
            .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.joined(separator: "&")
    }

    /// A parameter that may occur at most once.
    func single(_ name: String) throws(Problem) -> String? {
        let values = items.filter { $0.name.equalsUTF8(name) }
        guard values.count <= 1 else { throw Self.invalid(name, "may be given once only.") }
        return values.first?.value
    }

    /// All values of a filter.
    func all(_ name: String) throws(Problem) -> [String] {
        let values = items.filter { $0.name.equalsUTF8(name) }.map(\.value)
        guard values.count <= Self.maximumValues else { throw Self.invalid(name, "may be given \(Self.maximumValues) times at most.") }
        guard !values.contains(where: \.isEmpty) else { throw Self.invalid(name, "must not be empty; leave it out to match everything.") }
        return values
    }

    /// The parameters with a prefix, in the order of their first occurrence, with the prefix removed.
    func all(prefix: String) throws(Problem) -> [(name: String, values: [String])] {
        var groups: [(name: String, values: [String])] = []
        for item in items where item.name.starts(withUTF8: prefix) {
            let name = item.name.trimmingUTF8(first: prefix.utf8.count)
            if let index = groups.firstIndex(where: { $0.name.equalsUTF8(name) }) {
                groups[index].values.append(item.value)
            } else {
                groups.append((name, [item.value]))
            }
        }
        guard groups.count <= 20, groups.allSatisfy({ $0.values.count <= Self.maximumValues }) else {
            throw Self.invalid(prefix + "<path>", "may name 20 paths with \(Self.maximumValues) values each at most.")
        }
        return groups
    }

    func timestamp(_ name: String) throws(Problem) -> Timestamp? {
        guard let text = try single(name) else { return nil }
        // An offset's '+' that the client forgot to encode arrives as a space.
        let repaired = text.cutUTF8(atLast: " ").map { "\($0.before)+\($0.after)" } ?? text
        guard let timestamp = Timestamp(rfc3339: text) ?? Timestamp(rfc3339: repaired) else {
            throw Self.invalid(name, "must be an RFC 3339 date-time such as 2026-03-01T12:34:56Z.")
        }
        return timestamp
    }

    func cursor() throws(Problem) -> EventCursor? {
        guard let text = try single("cursor") else { return nil }
        guard let cursor = EventCursor(text) else {
            throw Self.invalid("cursor", "must be the nextCursor of an earlier answer, unchanged.")
        }
        return cursor
    }

    /// `nil` if absent.
    func limit(in limits: ClosedRange<Int>) throws(Problem) -> Int? { try integer("limit", in: limits) }

    /// `nil` if absent.
    func integer(_ name: String, in limits: ClosedRange<Int>) throws(Problem) -> Int? {
        guard let text = try single(name) else { return nil }
        guard let value = Int(text), limits.contains(value) else {
            throw Self.invalid(name, "must be an integer from \(limits.lowerBound) to \(limits.upperBound).")
        }
        return value
    }

    /// One of a fixed set of words; `nil` if absent.
    func choice<Choice: RawRepresentable & CaseIterable>(_ name: String, of choices: Choice.Type) throws(Problem) -> Choice?
    where Choice.RawValue == String {
        guard let text = try single(name) else { return nil }
        guard let choice = choices.allCases.first(where: { $0.rawValue.equalsUTF8(text) }) else {
            throw Self.invalid(name, "may be \(choices.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        return choice
    }

    /// `from` is inside the range, `to` is outside.
    private func range() throws(Problem) -> (from: Timestamp?, to: Timestamp?) {
        let from = try timestamp("from")
        let to = try timestamp("to")
        if let from, let to, from >= to { throw Self.invalid("to", "must be later than 'from': the range is empty.") }
        return (from, to)
    }

    /// The filters that counts and listings share.
    func selection(of project: ProjectID) throws(Problem) -> Selection {
        let range = try range()
        return Selection(project: project, types: try all("type"), sources: try all("source"), from: range.from, to: range.to)
    }

    /// All filters of a listing.
    func filters(of project: ProjectID) throws(Problem) -> Selection {
        var selection = try selection(of: project)
        selection.userIds = try all("userId")
        selection.anonymousIds = try all("anonymousId")
        selection.correlationIds = try all("correlationId")
        selection.data = try conditions()
        return selection
    }

    enum Bots: String, CaseIterable {
        case exclude
        case include
    }

    /// Whether events of bots count.
    func includesBots() throws(Problem) -> Bool { try choice("bots", of: Bots.self) == .include }

    private func conditions() throws(Problem) -> [DataCondition] {
        var conditions: [DataCondition] = []
        for (name, values) in try all(prefix: "data.") {
            do throws(PropertyPathError) {
                conditions.append(DataCondition(path: try PropertyPath(.data, name).keys, values: values))
            } catch {
                throw Self.invalid("data.\(name)", error.message)
            }
        }
        return conditions
    }

    static func invalid(_ name: String, _ why: String) -> Problem {
        let name = name.clipped
        return Problem(.invalidParameter, "'\(name)' \(why)") { $0.member("parameter", name) }
    }
}
