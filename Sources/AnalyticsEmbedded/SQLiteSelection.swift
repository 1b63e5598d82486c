import AnalyticsCore
import GRDB

/// A selection as SQL that reads it in the order of (timestamp, id), straight from an index: nothing is sorted.
///
/// Where a filter names several users (or correlation ids, or types), each is read in the order of its own index, and what they give has to
/// be merged: SQLite would read everything under `IN (…)` and sort it.
struct SQLiteSelection {
    /// Above this many alternatives a walk through everything costs no more than as many walks.
    static let branchLimit = 50

    private let project: ProjectID
    private let alternatives: [Alternatives]
    private let includesBots: Bool
    /// What is likely to leave the fewest events and has an index in this order.
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

    /// One query for each run through an index, by project and all values. The range and the order are the caller's.
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
    /// A column and the values that it may have.
    fileprivate struct Alternatives {
        enum Column: String {
            case userId, correlationId, type, source, anonymousId
        }

        var column: Column
        var values: [String]

        /// Each value once, told apart by its bytes.
        init(column: Column, values: [String]) {
            var seen: Set<[UInt8]> = []
            self.column = column
            self.values = values.filter { seen.insert(Array($0.utf8)).inserted }
        }

        /// One in the order of (timestamp, id); `nil` where there is none.
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
