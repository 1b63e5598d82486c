import AnalyticsCore
import GRDB

/// A selection as SQL that reads events in the order of (timestamp, id) directly from an index, without sorting.
///
/// If a filter has several users (or correlation ids, or types), each value is one index scan, and the caller merges the results:
/// with `IN (…)` SQLite would read all matching rows and sort them.
struct SQLiteSelection {
    /// Above this many values, one scan of everything costs no more than one scan per value.
    static let branchLimit = 50

    private let project: ProjectID
    private let alternatives: [Alternatives]
    private let includesBots: Bool
    /// The filter that likely leaves the fewest events and has an index in this order.
    private let branch: Alternatives?

    init(_ selection: Selection) {
        project = selection.project
        includesBots = selection.includesBots
        alternatives = [
            Alternatives(column: .userId, values: selection.userIds),
            Alternatives(column: .correlationId, values: selection.correlationIds),
            Alternatives(column: .type, values: selection.types), Alternatives(column: .source, values: selection.sources),
            Alternatives(column: .anonymousId, values: selection.anonymousIds),
        ].filter { !$0.values.isEmpty }
        branch = alternatives.first { $0.index != nil && $0.values.count <= Self.branchLimit }
    }

    /// One query per index scan, filtered by project and all values. The caller adds the range and the order.
    func queries(_ columns: String) -> [Query] {
        guard let branch else { return [query(columns, nil)] }
        return branch.values.map { query(columns, Alternatives(column: branch.column, values: [$0])) }
    }

    private func query(_ columns: String, _ branch: Alternatives?) -> Query {
        var query = Query(
            sql: "SELECT \(columns) FROM events INDEXED BY \(branch?.index ?? "events_time") WHERE project = CAST(? AS TEXT)",
            arguments: [SQLiteText(project.name)])
        branch.map { query.and($0) }
        if !includesBots { query.and("bot IS NULL") }
        for alternatives in alternatives where alternatives.column != branch?.column { query.and(alternatives) }
        return query
    }
}

extension SQLiteSelection {
    /// A column and its allowed values.
    fileprivate struct Alternatives {
        enum Column: String {
            case userId, correlationId, type, source, anonymousId
        }

        var column: Column
        var values: [String]

        /// Each value once; values are compared by their bytes.
        init(column: Column, values: [String]) {
            var seen: Set<[UInt8]> = []
            self.column = column
            self.values = values.filter { seen.insert(Array($0.utf8)).inserted }
        }

        /// An index in the order of (timestamp, id); `nil` if there is none.
        var index: String? {
            switch column {
            case .userId: "events_user"
            case .correlationId: "events_correlation"
            case .type: "events_type"
            case .source, .anonymousId: nil
            }
        }
    }

    struct Query {
        var sql: String
        var arguments: [any DatabaseValueConvertible]

        mutating func and(_ condition: String, _ values: any DatabaseValueConvertible...) {
            sql += " AND \(condition)"
            arguments += values
        }

        fileprivate mutating func and(_ alternatives: Alternatives) {
            let column = alternatives.column.rawValue
            if alternatives.values.count == 1 {
                sql += " AND \(column) = CAST(? AS TEXT)"
            } else {
                sql += " AND \(column) IN (\(alternatives.values.map { _ in "CAST(? AS TEXT)" }.joined(separator: ", ")))"
            }
            arguments += alternatives.values.map(SQLiteText.init)
        }
    }
}
