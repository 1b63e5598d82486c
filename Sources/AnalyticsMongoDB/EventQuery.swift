import AnalyticsCore
import AnalyticsJSON

/// Turns a selection into the server's filters. Pure. Client input appears only where the server expects a literal, inside an
/// `$in` or an `enum`, and as a path below `data`.
enum EventQuery {
    /// Filters for the parts of the range, in the order of the listing; `nil` if nothing can match.
    ///
    /// Two at most: the events with exactly the position's timestamp, then those before it. Each is one scan of an index. One
    /// `$or` of both would scan all events with that timestamp again for each page.
    static func segments(_ selection: Selection, after position: EventPosition?) -> [[(String, BSON)]]? {
        guard let conditions = conditions(selection) else { return nil }
        func segment(_ extra: [(String, BSON)]) -> [(String, BSON)] {
            [("_id.project", .string(selection.project.name))] + extra + conditions
        }
        var segments: [[(String, BSON)]] = []
        var end = selection.to
        if let position {
            if (selection.from ?? position.timestamp) <= position.timestamp, position.timestamp < selection.to ?? .init(milliseconds: .max)
            {
                segments.append(segment([("timestamp", .date(position.timestamp)), ("_id.id", ["$lt": .string(position.id)])]))
            }
            end = min(end ?? position.timestamp, position.timestamp)
        }
        var range: [(String, BSON)] = []
        if let from = selection.from { range.append(("$gte", .date(from))) }
        if let end { range.append(("$lt", .date(end))) }
        segments.append(segment(range.isEmpty ? [] : [("timestamp", .document(range))]))
        return segments
    }

    /// All conditions except the project and the range; `nil` if nothing can match.
    static func conditions(_ selection: Selection) -> [(String, BSON)]? {
        var conditions: [(String, BSON)] = []
        for (field, values) in [
            ("type", selection.types), ("source", selection.sources), ("userId", selection.userIds),
            ("anonymousId", selection.anonymousIds), ("correlationId", selection.correlationIds),
        ] where !values.isEmpty {
            conditions.append((field, ["$in": .array(values.map(BSON.string))]))
        }
        if !selection.includesBots { conditions.append(("context.bot", ["$ne": true])) }
        var data: [BSON] = []
        for condition in selection.data {
            // A path with a NUL would be truncated there; no stored key has one. A path that is too long is refused earlier.
            guard !condition.isTooLong, !condition.path.contains(where: { $0.utf8.contains(0) }) else { return nil }
            data += dataFilters(condition)
        }
        // Two conditions may use the same path; in one document their keys would collide.
        if !data.isEmpty { conditions.append(("$and", .array(data))) }
        return conditions
    }

    private static func dataFilters(_ condition: DataCondition) -> [BSON] {
        let scalars = condition.values.flatMap(DataCondition.scalars)
        let path = "data." + condition.path.joined(separator: ".")
        let others = scalars.filter { $0 != .null }
        var alternatives: [BSON] = [.document([(path, .document([("$in", .array(others.map(BSON.init)))]))])]
        // Null inside `$in` also matches a missing field; `$type` does not.
        // https://www.mongodb.com/docs/v6.0/tutorial/query-for-null-fields/
        if others.count < scalars.count { alternatives.append(.document([(path, .document([("$type", "null")]))])) }
        var filters: [BSON] = [alternatives.count == 1 ? alternatives[0] : ["$or": .array(alternatives)]]
        // A numeric path step would also match an array index.
        if condition.hasNumber { filters.append(["$jsonSchema": schema(["data"] + condition.path, scalars.map(BSON.init))]) }
        return filters
    }

    /// The same condition as a JSON schema, in which path steps match only keys of objects. The value is an object with this key or, from
    /// the second step on, also an array that contains such an object. The last step is one of the values, or an array that contains one.
    /// The schema doubles with each step, so these paths are short (``DataCondition/maximumKeysWithNumber``).
    private static func schema(_ path: [String], _ scalars: [BSON], inArray: Bool = false) -> BSON {
        guard let key = path.first else { return orAnElement(["enum": .array(scalars)]) }
        let object: BSON = [
            "bsonType": "object", "required": .array([.string(key)]),
            "properties": .document([(key, schema(Array(path.dropFirst()), scalars, inArray: true))]),
        ]
        return inArray ? orAnElement(object) : object
    }

    private static func orAnElement(_ schema: BSON) -> BSON {
        let array: BSON = ["bsonType": "array", "not": ["items": ["not": schema]]]
        return ["anyOf": [schema, array]]
    }
}

extension BSON {
    init(_ scalar: JSONScalar) {
        self =
            switch scalar {
            case .string(let string): .string(string)
            case .integer(let integer): .integer(integer)
            case .double(let double): .double(double)
            case .boolean(let boolean): .boolean(boolean)
            case .null: .null
            }
    }
}
