import AnalyticsCore
import Foundation
import GRDB

/// A string to and from a TEXT column, NUL included.
///
/// GRDB binds and reads a `String` as a C string, which ends at its first NUL. So a string with a NUL is bound as a blob, and SQL
/// converts it by `CAST(? AS TEXT)`, which takes a blob's bytes as text (https://www.sqlite.org/lang_expr.html#castexpr).
/// It must be read from a cursor's row: a copied row (`Row.fetchOne`, `Row.fetchAll`) holds C strings again.
/// JSON needs none of this, because its text escapes NUL.
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
    /// Throws if the name is not valid: the file is damaged, or another version's.
    func project() throws -> ProjectID {
        guard let project = ProjectID(string) else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a project name is not valid")
        }
        return project
    }
}

extension Statement {
    /// Runs the statement and passes its first row, if any, to `read` while the cursor is on it.
    func first<T>(_ arguments: StatementArguments, _ read: (Row) throws -> T) throws -> T? {
        let rows = try Row.fetchCursor(self, arguments: arguments)
        return try withExtendedLifetime(rows) { try rows.next().map(read) }
    }
}
