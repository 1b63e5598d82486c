internal import AnalyticsCore
internal import AnalyticsJSON
internal import Hummingbird

/// A value in a small JSON body, with its path for error messages.
struct BodyNode {
    indirect enum Value {
        case scalar(JSONScalar)
        case array([Value])
        case object([(name: String, value: Value)])

        /// The JSON text.
        var text: String {
            var writer = JSONWriter()
            writer.value(self)
            return writer.text
        }
    }

    let value: Value
    /// For example `steps[0].types`; empty for the body itself.
    let path: String

    /// Bytes per body.
    static let maximumBytes = 64 * 1024
    private static let maximumDepth = 8

    init(value: Value, path: String) {
        self.value = value
        self.path = path
    }

    init(_ body: PaddedBytes) throws(Problem) {
        var parser = JSONParser()
        let fault: (JSONFault) -> Problem = { fault in
            let what =
                switch fault.code {
                case .depth: "is nested too deeply"
                case .duplicateKey: "has a member twice"
                case .utf8: "is not UTF-8"
                default: "cannot be read as JSON"
                }
            return Problem(.invalidJSON, "The body \(what). Send one JSON object; /docs has an example.")
        }
        // Validates the whole text before it is split.
        try parser.withMembers(of: body, at: body.all, maximumDepth: Self.maximumDepth) { (_) throws(Problem) in
        } fault: {
            fault($0)
        }
        do throws(JSONFault) {
            self.init(value: try Self.value(body, body.all, &parser), path: "")
        } catch {
            throw fault(error)
        }
    }

    private static func value(_ text: PaddedBytes, _ place: Range<Int>, _ parser: inout JSONParser) throws(JSONFault) -> Value {
        if var members = JSONRawMembers(text, at: place) {
            var object: [(name: String, value: Value)] = []
            while let (key, value) = try members.next() {
                guard case .string(let name) = try scalar(text, key.lowerBound - 1..<key.upperBound + 1, &parser) else {
                    throw JSONFault(code: .syntax)
                }
                object.append((name, try self.value(text, value, &parser)))
            }
            return .object(object)
        }
        if var elements = JSONElements(text, at: place) {
            var array: [Value] = []
            while let element = try elements.next() { array.append(try value(text, element, &parser)) }
            return .array(array)
        }
        return .scalar(try scalar(text, place, &parser))
    }

    private static func scalar(_ text: PaddedBytes, _ place: Range<Int>, _ parser: inout JSONParser) throws(JSONFault) -> JSONScalar {
        let scalar = try parser.withValue(of: text, at: place, maximumDepth: 1) { (value) throws(JSONFault) in
            value.scalar
        } fault: {
            $0
        }
        guard let scalar else { throw JSONFault(code: .syntax) }
        return scalar
    }

    // MARK: Reading

    func invalid(_ why: String) -> Problem { QueryParameters.invalid(path, why) }

    /// The members of an object. Throws for names other than these.
    func object(_ names: [String]) throws(Problem) -> BodyObject {
        guard case .object(let members) = value else {
            throw path.isEmpty
                ? Problem(.invalidJSON, "The body must be a JSON object with \(names.joined(separator: ", ")).")
                : invalid("must be an object with \(names.joined(separator: ", ")).")
        }
        for (name, _) in members where !names.contains(where: { $0.equalsUTF8(name) }) {
            let place = (path.isEmpty ? "" : path + ".") + name.clipped
            throw Problem(.unknownParameter, "'\(place)' is not known. Known here: \(names.joined(separator: ", ")).") {
                $0.member("parameter", place)
            }
        }
        return BodyObject(node: self, members: members)
    }

    func elements(_ counts: ClosedRange<Int>, _ what: String) throws(Problem) -> [BodyNode] {
        guard case .array(let values) = value, counts.contains(values.count) else {
            throw invalid("must be an array of \(counts.lowerBound) to \(counts.upperBound) \(what).")
        }
        return values.enumerated().map { BodyNode(value: $1, path: "\(path)[\($0)]") }
    }

    func text() throws(Problem) -> String {
        guard case .scalar(.string(let text)) = value, !text.isEmpty, !text.utf8.contains(0) else {
            throw invalid("must be a string that is not empty, without NUL.")
        }
        return text
    }

    /// A string, which may be empty.
    func anyText() throws(Problem) -> String {
        guard case .scalar(.string(let text)) = value, !text.utf8.contains(0) else { throw invalid("must be a string without NUL.") }
        return text
    }

    var isNull: Bool {
        if case .scalar(.null) = value { true } else { false }
    }

    func texts() throws(Problem) -> [String] {
        var texts: [String] = []
        for element in try elements(0...QueryParameters.maximumValues, "strings") { texts.append(try element.text()) }
        return texts
    }

    func integer(in limits: ClosedRange<Int>) throws(Problem) -> Int {
        guard case .scalar(.integer(let value)) = value, let value = Int(exactly: value), limits.contains(value) else {
            throw invalid("must be an integer from \(limits.lowerBound) to \(limits.upperBound).")
        }
        return value
    }

    func boolean() throws(Problem) -> Bool {
        guard case .scalar(.boolean(let value)) = value else { throw invalid("must be true or false.") }
        return value
    }

    func choice<Choice: RawRepresentable & CaseIterable>(of choices: Choice.Type) throws(Problem) -> Choice
    where Choice.RawValue == String {
        guard case .scalar(.string(let text)) = value, let choice = choices.allCases.first(where: { $0.rawValue.equalsUTF8(text) }) else {
            throw invalid("may be \(choices.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        return choice
    }

    func timestamp() throws(Problem) -> Timestamp {
        guard case .scalar(.string(let text)) = value, let time = Timestamp(rfc3339: text) else {
            throw invalid("must be an RFC 3339 date-time such as 2026-03-01T12:34:56Z.")
        }
        return time
    }

    /// Conditions on `data`: per path, one value or several, any of which matches.
    func conditions() throws(Problem) -> [DataCondition] {
        guard case .object(let members) = value, members.count <= 20 else {
            throw invalid("must be an object of at most 20 paths, each with a value or an array of values.")
        }
        var conditions: [DataCondition] = []
        for (name, value) in members {
            let node = BodyNode(value: value, path: "\(path).\(name.clipped)")
            do throws(PropertyPathError) {
                conditions.append(DataCondition(path: try PropertyPath(.data, name).keys, values: []))
            } catch {
                throw node.invalid(error.message)
            }
            conditions[conditions.count - 1].values = try node.values()
        }
        return conditions
    }

    /// One scalar or an array of scalars, each in the syntax of a query string.
    private func values() throws(Problem) -> [String] {
        var nodes = [self]
        if case .array = value { nodes = try elements(1...QueryParameters.maximumValues, "values") }
        var values: [String] = []
        for node in nodes { values.append(try node.scalarText()) }
        return values
    }

    /// A scalar in the syntax of a query string.
    func scalarText() throws(Problem) -> String {
        guard case .scalar(let scalar) = value else { throw invalid("must be a string, a number, true, false or null.") }
        switch scalar {
        case .string: return try text()
        case .boolean(let value): return value ? "true" : "false"
        case .null: return "null"
        case .integer(let value): return String(value)
        case .double(let value): return Self.json(value)
        }
    }

    private static func json(_ number: Double) -> String {
        var writer = JSONWriter()
        writer.double(number)
        return writer.text
    }
}

extension BodyReader {
    /// The JSON value of a body, and the bytes of its text.
    ///
    /// - Parameter mayBeEmpty: Whether no body is an empty object.
    func node(
        of request: Request, _ context: APIRequestContext, mayBeEmpty: Bool = false
    ) async throws -> (node: BodyNode, length: Int) {
        guard MediaType.json.contains(try MediaType.essence(request.headers)) else {
            throw Problem(.unsupportedMediaType, "Content-Type may be application/json.").closingConnection()
        }
        let lease = lease(for: request, context)
        // A client may take a minute to send it, and slots are for work on the store.
        context.slot?.pause()
        let text = try await read(request, lease, from: context.connection)
        try context.slot?.resume()
        defer { withExtendedLifetime(lease) {} }
        if mayBeEmpty, text.count == 0 { return (BodyNode(value: .object([]), path: ""), 0) }
        return (try BodyNode(text), text.count)
    }
}

/// The members of an object in a body.
struct BodyObject {
    let node: BodyNode
    fileprivate let members: [(name: String, value: BodyNode.Value)]

    /// `nil` if absent.
    subscript(name: String) -> BodyNode? {
        guard let member = members.first(where: { $0.name.equalsUTF8(name) }) else { return nil }
        return BodyNode(value: member.value, path: (node.path.isEmpty ? "" : node.path + ".") + name)
    }

    /// The members sorted by name, without `left`, and with `settled` in place of those with the same names.
    func settled(without left: String? = nil, with settled: [(name: String, value: BodyNode.Value)]) -> BodyNode.Value {
        let kept = members.filter { member in
            !(settled.map(\.name) + (left.map { [$0] } ?? [])).contains { $0.equalsUTF8(member.name) }
        }
        return .object((kept + settled).sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) })
    }

    func missing(_ name: String, _ what: String) -> Problem {
        QueryParameters.invalid((node.path.isEmpty ? "" : node.path + ".") + name, "is missing: \(what)")
    }
}

extension JSONWriter {
    fileprivate mutating func value(_ value: BodyNode.Value) {
        switch value {
        case .scalar(let scalar): groupKey(GroupKey(scalar))
        case .array(let elements):
            beginArray()
            for element in elements { self.value(element) }
            endArray()
        case .object(let members):
            beginObject()
            for (name, value) in members {
                key(name)
                self.value(value)
            }
            endObject()
        }
    }
}
