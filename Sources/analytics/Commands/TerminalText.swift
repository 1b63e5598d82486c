enum TerminalText {
    /// Escapes control and format characters of foreign text, which could control the terminal or end a line. Cuts it to `limit`
    /// characters.
    static func printable(_ text: String, limit: Int = 500) -> String {
        text.unicodeScalars.prefix(limit).reduce(into: "") { result, scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned:
                result += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
    }
}
