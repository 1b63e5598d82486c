enum TerminalText {
    /// What came from elsewhere must not steer a terminal: at most 500 characters, controls and format characters escaped.
    static func printable(_ text: String) -> String {
        text.unicodeScalars.prefix(500).reduce(into: "") { result, scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned:
                result += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
    }
}
