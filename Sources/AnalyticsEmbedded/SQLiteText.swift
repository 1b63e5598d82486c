import AnalyticsCore
import Foundation
import GRDB

/// A string to and from a TEXT column, NUL included.
///
/// GRDB binds and reads a `String` as a C string, which ends at its first NUL; bound as a blob it is whole. In SQL the parameter
/// stands in `CAST(? AS TEXT)`, which takes a blob's bytes as text (https://www.sqlite.org/lang_expr.html#castexpr).
/// It must be read from a cursor's row: one that GRDB has copied (`Row.fetchOne`, `Row.fetchAll`) holds C strings again.
/// JSON needs none of this: its text escapes NUL.
struct SQLiteText: DatabaseValueConvertible, StatementColumnConvertible {
    var string: String

    init(_ string: String) {
        self.string = string
    }

    init(sqliteStatement: SQLiteStatement, index: CInt) {
        string = String(decoding: Data(sqliteStatement: sqliteStatement, index: index), as: UTF8.self)
    }

    var databaseValue: DatabaseValue {
        string.utf8.contains(0) ? Data(string.utf8).databaseValue : string.databaseValue
    }

    static func fromDatabaseValue(_ value: DatabaseValue) -> SQLiteText? {
        Data.fromDatabaseValue(value).map { SQLiteText(String(decoding: $0, as: UTF8.self)) }
    }
}

extension SQLiteText {
    /// Throws where it is none: the file is damaged, or another version's.
    func project() throws -> ProjectID {
        guard let project = ProjectID(string) else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a project has a name that none can have")
        }
        return project
    }
}

extension Statement {
    /// Runs the statement and reads its first row, if there is one, while its cursor stands on it.
    func first<T>(_ arguments: StatementArguments, _ read: (Row) throws -> T) throws -> T? {
        let rows = try Row.fetchCursor(self, arguments: arguments)
        return try withExtendedLifetime(rows) { try rows.next().map(read) }
    }
}
