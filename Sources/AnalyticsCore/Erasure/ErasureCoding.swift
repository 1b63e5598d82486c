/// An erasure as a store keeps it. The bytes are untrusted.
extension Erasure {
    /// Format 1 has no late links and no repairs.
    private static let format: Int64 = 2
    private static let states: [State] = [.requested, .erasing, .settling, .verifying, .cleaning, .done, .failed]

    var encoded: [UInt8] {
        var writer = TableWriter()
        writer.number(Self.format)
        writer.write(tombstone)
        writer.write(selection) { $0.write($1) }
        writer.write(identified) { $0.text($1) }
        writer.number(Int64(Self.states.firstIndex(of: state) ?? 0))
        writer.number(Int64(walk.list))
        writer.write(walk.end) { $0.write($1) }
        writer.write(walk.slice) { writer, slice in
            writer.write(slice.lowerBound)
            writer.write(slice.upperBound)
        }
        writer.number(walk.found)
        writer.write(days)
        writer.write(erasedAt) { $0.write($1) }
        for count in [deletedEvents, deletedDeadLetters, unreadDeadLetters] { writer.number(count) }
        writer.write(doneAt) { $0.write($1) }
        writer.write(failure) { $0.text($1) }
        writer.write(lease) { writer, lease in
            writer.text(lease.owner)
            writer.write(lease.until)
        }
        writer.write(links) { writer, link in
            writer.text(link.anonymousId.text)
            writer.text(link.user.text)
            writer.write(link.time)
        }
        writer.write(repairs)
        writer.write(repaired)
        return SegmentSeal.sealed(writer.bytes)
    }

    init(project: ProjectID, id: String, encoded bytes: [UInt8]) throws(GroupTable.Unreadable) {
        self = try SegmentSeal.opened(bytes).withUnsafeBufferPointer { (buffer) throws(GroupTable.Unreadable) in
            var cursor = TableCursor(buffer)
            let format = try cursor.number()
            guard (1...Self.format).contains(format) else { throw .damaged }
            let tombstone = try cursor.tombstone()
            let selection = try cursor.optional { (cursor) throws(GroupTable.Unreadable) in try cursor.selection(of: project) }
            var erasure = Erasure(project: project, id: id, tombstone: tombstone, selection: selection)
            try erasure.read(&cursor)
            if format > 1 { try erasure.readLate(&cursor) }
            guard cursor.isAtEnd else { throw .damaged }
            return erasure
        }
    }

    private mutating func read(_ cursor: inout TableCursor) throws(GroupTable.Unreadable) {
        identified = try cursor.list { (cursor) throws(GroupTable.Unreadable) in try cursor.string() }
        let place = try cursor.number()
        guard place < Int64(Self.states.count) else { throw .damaged }
        state = Self.states[Int(place)]
        walk.list = Int(try cursor.number())
        walk.end = try cursor.optional { (cursor) throws(GroupTable.Unreadable) in try cursor.time() }
        walk.slice = try cursor.optional { (cursor) throws(GroupTable.Unreadable) in
            let (start, end) = (try cursor.time(), try cursor.time())
            guard start < end, end - start <= .milliseconds(RollupTier.day.milliseconds) else { throw .damaged }
            return start..<end
        }
        walk.found = try cursor.number()
        days = try cursor.days()
        erasedAt = try cursor.optional { (cursor) throws(GroupTable.Unreadable) in try cursor.time() }
        deletedEvents = try cursor.count()
        deletedDeadLetters = try cursor.count()
        unreadDeadLetters = try cursor.count()
        doneAt = try cursor.optional { (cursor) throws(GroupTable.Unreadable) in try cursor.time() }
        failure = try cursor.optional { (cursor) throws(GroupTable.Unreadable) in try cursor.string() }
        lease = try cursor.optional { (cursor) throws(GroupTable.Unreadable) in
            Lease(owner: try cursor.string(), until: try cursor.time())
        }
    }

    private mutating func readLate(_ cursor: inout TableCursor) throws(GroupTable.Unreadable) {
        links = try cursor.list { (cursor) throws(GroupTable.Unreadable) in
            LateLink(anonymousId: try cursor.string(), user: try cursor.string(), time: try cursor.time())
        }
        repairs = try cursor.days()
        repaired = try cursor.days()
    }
}

extension TableWriter {
    fileprivate mutating func write(_ time: Timestamp) { word(UInt64(bitPattern: time.milliseconds)) }

    fileprivate mutating func write<Value>(_ value: Value?, _ write: (inout TableWriter, Value) -> Void) {
        number(value == nil ? 0 : 1)
        if let value { write(&self, value) }
    }

    fileprivate mutating func write<Value>(_ values: [Value], _ write: (inout TableWriter, Value) -> Void) {
        number(Int64(values.count))
        for value in values { write(&self, value) }
    }

    fileprivate mutating func write(_ days: [Range<Int64>]) {
        write(days) { writer, days in
            writer.word(UInt64(bitPattern: days.lowerBound))
            writer.word(UInt64(bitPattern: days.upperBound))
        }
    }

    /// Sorted: equal tombstones have equal bytes.
    fileprivate mutating func write(_ digests: Set<SaltedDigest>) {
        write(digests.sorted()) { writer, digest in
            writer.word(digest.high)
            writer.word(digest.low)
        }
    }

    mutating func write(_ tombstone: Tombstone) {
        word(tombstone.salt.high)
        word(tombstone.salt.low)
        write(tombstone.until)
        for digests in [
            tombstone.users, tombstone.anonymous, tombstone.types, tombstone.sources, tombstone.correlations, tombstone.identified,
        ] { write(digests) }
        write(tombstone.data) { writer, condition in
            writer.write(condition.path) { $0.text($1) }
            writer.write(condition.values)
        }
        write(tombstone.from) { $0.write($1) }
        write(tombstone.to) { $0.write($1) }
    }

    fileprivate mutating func write(_ selection: Selection) {
        for values in [selection.types, selection.sources, selection.userIds, selection.anonymousIds, selection.correlationIds] {
            write(values) { $0.text($1) }
        }
        write(selection.data) { writer, condition in
            writer.write(condition.path) { $0.text($1) }
            writer.write(condition.values) { $0.text($1) }
        }
        write(selection.from) { $0.write($1) }
        write(selection.to) { $0.write($1) }
    }
}

extension TableCursor {
    fileprivate mutating func string() throws(GroupTable.Unreadable) -> String { try GroupTable.string(text()) }

    fileprivate mutating func time() throws(GroupTable.Unreadable) -> Timestamp {
        let time = Timestamp(milliseconds: Int64(bitPattern: try word()))
        // A range may end just after the latest timestamp.
        guard time >= .earliest, time <= .latest + .seconds(60) else { throw .damaged }
        return time
    }

    fileprivate mutating func optional<Value>(
        _ read: (inout TableCursor) throws(GroupTable.Unreadable) -> Value
    ) throws(GroupTable.Unreadable) -> Value? {
        switch try number() {
        case 0: return nil
        case 1: return try read(&self)
        default: throw .damaged
        }
    }

    fileprivate mutating func list<Value>(
        _ read: (inout TableCursor) throws(GroupTable.Unreadable) -> Value
    ) throws(GroupTable.Unreadable) -> [Value] {
        var values: [Value] = []
        for _ in 0..<(try length()) { values.append(try read(&self)) }
        return values
    }

    fileprivate mutating func days() throws(GroupTable.Unreadable) -> [Range<Int64>] {
        try list { (cursor) throws(GroupTable.Unreadable) in
            let (start, end) = (Int64(bitPattern: try cursor.word()), Int64(bitPattern: try cursor.word()))
            guard RollupTier.day.indexes.contains(start), start < end, RollupTier.day.indexes.contains(end - 1) else { throw .damaged }
            return start..<end
        }
    }

    private mutating func digests() throws(GroupTable.Unreadable) -> Set<SaltedDigest> {
        Set(
            try list { (cursor) throws(GroupTable.Unreadable) in
                SaltedDigest(high: try cursor.word(), low: try cursor.word())
            })
    }

    private mutating func path() throws(GroupTable.Unreadable) -> [String] {
        let keys = try list { (cursor) throws(GroupTable.Unreadable) in try cursor.string() }
        guard (try? PropertyPath(.data, keys.joined(separator: ".")))?.keys.count == keys.count else { throw .damaged }
        return keys
    }

    mutating func tombstone() throws(GroupTable.Unreadable) -> Tombstone {
        let salt = Salt(high: try word(), low: try word())
        var tombstone = Tombstone(salt: salt, until: try time())
        tombstone.users = try digests()
        tombstone.anonymous = try digests()
        tombstone.types = try digests()
        tombstone.sources = try digests()
        tombstone.correlations = try digests()
        tombstone.identified = try digests()
        tombstone.data = try list { (cursor) throws(GroupTable.Unreadable) in
            Tombstone.Condition(path: try cursor.path(), values: try cursor.digests())
        }
        tombstone.from = try optional { (cursor) throws(GroupTable.Unreadable) in try cursor.time() }
        tombstone.to = try optional { (cursor) throws(GroupTable.Unreadable) in try cursor.time() }
        return tombstone
    }

    fileprivate mutating func selection(of project: ProjectID) throws(GroupTable.Unreadable) -> Selection {
        func texts(_ cursor: inout TableCursor) throws(GroupTable.Unreadable) -> [String] {
            try cursor.list { (cursor) throws(GroupTable.Unreadable) in try cursor.string() }
        }
        var selection = Selection(project: project)
        selection.types = try texts(&self)
        selection.sources = try texts(&self)
        selection.userIds = try texts(&self)
        selection.anonymousIds = try texts(&self)
        selection.correlationIds = try texts(&self)
        selection.data = try list { (cursor) throws(GroupTable.Unreadable) in
            DataCondition(path: try cursor.path(), values: try texts(&cursor))
        }
        selection.from = try optional { (cursor) throws(GroupTable.Unreadable) in try cursor.time() }
        selection.to = try optional { (cursor) throws(GroupTable.Unreadable) in try cursor.time() }
        return selection
    }
}
