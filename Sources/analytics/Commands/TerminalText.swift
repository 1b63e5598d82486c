enum TerminalText {
    /// What came from elsewhere must not steer a terminal or end a line: controls and format characters are escaped, and what is beyond `limit`
    /// characters is left out.
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
