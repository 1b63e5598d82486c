internal import AnalyticsJSON

/// A selection on rows of segments.
struct RowFilter: Sendable {
    /// The fields of the columns that it reads.
    let fields: [RowField]
    /// Per field, the keys of which a row must have one; for ``bot``, none.
    private let keys: [Set<GroupKey>]
    /// The actors whose rows are selected; all if `nil`.
    let actors: Set<ActorKey>?

    static let everything = RowFilter(fields: [], keys: [], actors: nil)

    private static let bot = RowField.property(.bot)

    private init(fields: [RowField], keys: [Set<GroupKey>], actors: Set<ActorKey>?) {
        self.fields = fields
        self.keys = keys
        self.actors = actors
    }

    /// `nil` for a selection that segments cannot answer.
    ///
    /// - Parameter actors: Also limits the rows to these actors; all if `nil`.
    init?(_ selection: Selection, actors: Set<ActorKey>? = nil) {
        guard selection.correlationIds.isEmpty, selection.anonymousIds.isEmpty else { return nil }
        var fields: [RowField] = []
        var keys: [Set<GroupKey>] = []
        for (field, values) in [(RowField.type, selection.types), (.source, selection.sources)] where !values.isEmpty {
            fields.append(field)
            keys.append(Set(values.map { GroupKey($0) }))
        }
        for condition in selection.data {
            guard let path = try? PropertyPath(.data, condition.path.joined(separator: ".")), path.keys.count == condition.path.count
            else { return nil }
            fields.append(.property(path))
            keys.append(Set(condition.values.flatMap(DataCondition.scalars(of:)).map { GroupKey($0) }))
        }
        if !selection.includesBots {
            fields.append(Self.bot)
            keys.append([.boolean(true)])
        }
        var wanted = actors
        if !selection.userIds.isEmpty {
            let users = Set(selection.userIds.map { ActorKey(.user, $0) })
            wanted = actors?.intersection(users) ?? users
        }
        self.init(fields: fields, keys: keys, actors: wanted)
    }

    /// The selected rows within these minutes and times of the day, without the filter's columns. The columns of `rows` are those of
    /// the reducer, then those of the filter.
    func apply(
        to rows: EventRows, columns: Int, minutes: [Bool]? = nil, times range: Range<UInt32>?
    ) throws(GroupTable.Unreadable) -> EventRows {
        try selected(rows, columns, minutes, range).prefix(columns: columns)
    }

    private func selected(
        _ rows: EventRows, _ columns: Int, _ minutes: [Bool]?, _ range: Range<UInt32>?
    ) throws(GroupTable.Unreadable) -> EventRows {
        guard actors != nil || !fields.isEmpty || minutes != nil || range != nil else { return rows }
        var conditions: [(column: RowColumn, isSelected: [Bool])] = []
        for (index, keys) in keys.enumerated() {
            let column = rows.columns[columns + index]
            let isSelected = fields[index] != Self.bot
            let selected = try column.entries.map { (values) in values.contains { keys.contains(GroupKey($0)) } == isSelected }
            // A chunk usually has no rows of bots.
            if selected.contains(false) { conditions.append((column, selected)) }
        }
        guard actors != nil || !conditions.isEmpty || minutes != nil || range != nil else { return rows }
        let times = rows.times
        return rows.filtered { actor in
            actors?.contains(actor) ?? true
        } row: { row in
            if let range, !range.contains(times[row]) { return false }
            if let minutes, !minutes[Int(times[row] / 60_000)] { return false }
            return conditions.allSatisfy { $0.isSelected[$0.column.code(of: row)] }
        }
    }

    /// Whether a chunk may hold rows of the actors: its actors range from its first to the first of the next chunk.
    func mayHold(_ chunk: SegmentHead.Chunk, next: SegmentHead.Chunk?) -> Bool {
        guard let actors else { return true }
        return actors.contains { actor in chunk.first <= actor && next.map { actor <= $0.first } ?? true }
    }
}
