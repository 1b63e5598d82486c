public import AnalyticsCore
import AnalyticsJSON

extension MongoStore {
    public func scanEvents<Reducer: EventScanReducer>(
        _ selection: Selection, in ranges: [Range<Timestamp>], reading paths: [PropertyPath], into reducer: Reducer
    ) async throws(StoreError) -> Reducer {
        guard let conditions = EventQuery.conditions(selection) else { return reducer }
        let ranges = Ranges.normalised(ranges.map { $0.lowerBound.milliseconds..<$0.upperBound.milliseconds })
        return try await run(.scanEvents) { session throws(StoreError) in
            let scan = Scan(selection, conditions, paths)
            // One range per query, so that its events arrive in the order of an index.
            var plan = CountPlan(ranges, alternatives: 1)
            let end = session.end(of: session.limits.wholeCount)
            var reducer = reducer
            var position: EventPosition?
            var takesMore = true
            while takesMore, let query = plan.next() {
                var isFurther = false
                do throws(StoreError) {
                    let part = try session.scan(scan, query[0], after: position, before: end) { event in
                        position = EventPosition(timestamp: event.timestamp, id: event.id)
                        isFurther = true
                        takesMore = reducer.add(event)
                        return takesMore
                    }
                    plan.answered(in: part)
                } catch {
                    // As in `countEvents`.
                    guard error.code == .timedOut, ContinuousClock.now < end else { throw error }
                    if plan.halve(query, from: isFurther ? position?.timestamp.milliseconds : nil) { continue }
                    guard isFurther else { throw session.tooMany(selection.project, in: query, to: "read") }
                    plan.putBack(query)
                }
            }
            return reducer
        }
    }
}

/// The query of a scan, and the reader of its documents.
struct Scan: Sendable {
    private let selected: [(String, BSON)]
    fileprivate let options: [(String, BSON)]
    private let paths: [(root: String, keys: [[UInt8]])]

    /// Documents per reply of the server, if they fit into 16 MiB.
    private static let batch: Int64 = 1_000

    init(_ selection: Selection, _ conditions: [(String, BSON)], _ paths: [PropertyPath]) {
        selected = [("_id.project", .string(selection.project.name))] + conditions
        let fields = ["_id.id", "timestamp", "type", "source", "userId", "anonymousId", "visitorId", "sessionId"]
        // The whole value at the first key: further keys of a path mean something else to the server.
        let tops = Set(paths.map { BytewiseString("\($0.root.rawValue).\($0.keys[0])") }).map(\.text)
        var options: [(String, BSON)] = [
            ("sort", ["timestamp": 1, "_id.id": 1]), ("projection", .document((fields + tops).map { ($0, 1) })),
            ("batchSize", .integer(Self.batch)), ("allowDiskUse", true),
        ]
        // Users and correlations have their own indexes; then the server chooses.
        if selection.userIds.isEmpty && selection.correlationIds.isEmpty {
            // The index by type has the events of a single type in order, and no others.
            options.append(("hint", .string(selection.types.count == 1 ? Index.byType : Index.byTime)))
        }
        self.options = options
        self.paths = paths.map { ($0.root.rawValue, $0.keys.map { Array($0.utf8) }) }
    }

    /// Filters for the rest of a range after a position: the events with exactly its timestamp, then the later ones. Each is one index
    /// scan.
    fileprivate func filters(_ range: Range<Int64>, after position: EventPosition?) -> [[(String, BSON)]] {
        func times(_ start: String) -> [(String, BSON)] {
            let bounds: [(String, BSON)] = [
                (start, .date(Timestamp(milliseconds: range.lowerBound))), ("$lt", .date(Timestamp(milliseconds: range.upperBound))),
            ]
            return selected + [("timestamp", .document(bounds))]
        }
        guard let position, position.timestamp.milliseconds == range.lowerBound else { return [times("$gte")] }
        let moment = selected + [("timestamp", .date(position.timestamp)), ("_id.id", ["$gt": .string(position.id)])]
        return [moment, times("$gt")]
    }

    /// `nil` for a document that this adapter did not write.
    fileprivate func event(_ document: BSONView) -> ScannedEvent? {
        var event = ScannedEvent(
            timestamp: Timestamp(milliseconds: 0), id: "", type: "", source: "", values: Array(repeating: [], count: paths.count))
        var required = 0
        var isWhole = true
        func take<Value>(_ value: Value?, _ set: (Value) -> Void) {
            if let value { set(value) } else { isWhole = false }
        }
        let isEnded = document.each { field in
            let name = field.key
            switch name {
            case "_id":
                required += 1
                take(field.document?["id"]?.string) { event.id = $0 }
            case "timestamp":
                required += 1
                take(field.date) { event.timestamp = $0 }
            case "type":
                required += 1
                take(field.string) { event.type = $0 }
            case "source":
                required += 1
                take(field.string) { event.source = $0 }
            case "userId": take(field.string) { event.userId = $0 }
            case "anonymousId": take(field.string) { event.anonymousId = $0 }
            case "visitorId": take(field.string) { event.visitorId = $0 }
            case "sessionId": take(field.string) { event.sessionId = $0 }
            case "data", "context":
                for (index, path) in paths.enumerated() where path.root == name {
                    isWhole = field.addScalars(at: path.keys[...], to: &event.values[index]) && isWhole
                }
            default: break
            }
        }
        return isEnded && isWhole && required == 4 ? event : nil
    }
}

extension Session {
    /// Passes the events of a range after a position to `add`. Returns the fraction of the time limit that it took.
    fileprivate func scan(
        _ scan: Scan, _ range: Range<Int64>, after position: EventPosition?, before end: ContinuousClock.Instant,
        _ add: (ScannedEvent) -> Bool
    ) throws(StoreError) -> Double {
        let start = ContinuousClock.now
        let limit = max(1, min(Int64(limits.countTime), Int64((end - start).seconds * 1000)))
        var count = 0
        var takesMore = true
        for filter in scan.filters(range, after: position) where takesMore {
            try checkCancelled()
            try findWhile(.events, filter, scan.options, limit: Int32(limit)) { row throws(StoreError) -> Bool in
                guard let event = scan.event(row) else { throw damage(.events) }
                count += 1
                // maxTimeMS bounds the server's time only.
                if count.isMultiple(of: 256), ContinuousClock.now >= end {
                    throw StoreError(.timedOut, operation: operation, "not done by its deadline")
                }
                takesMore = add(event)
                return takesMore
            }
        }
        return (ContinuousClock.now - start) / .milliseconds(limit)
    }
}

extension BSONElement {
    /// Adds the scalars at the path. An array stands for its elements, a nested array does not. Returns false for a type that JSON does not
    /// produce.
    fileprivate func addScalars(at keys: ArraySlice<[UInt8]>, inArray: Bool = false, to values: inout [JSONScalar]) -> Bool {
        guard let document else {
            guard keys.isEmpty else { return true }
            guard let scalar else { return false }
            values.append(scalar)
            return true
        }
        if isArray ? inArray : keys.isEmpty { return true }
        var isWhole = true
        let isEnded = document.each { element in
            if isArray {
                isWhole = element.addScalars(at: keys, inArray: true, to: &values) && isWhole
            } else if element.hasKey(keys[keys.startIndex]) {
                isWhole = element.addScalars(at: keys.dropFirst(), to: &values) && isWhole
            }
        }
        return isEnded && isWhole
    }
}
