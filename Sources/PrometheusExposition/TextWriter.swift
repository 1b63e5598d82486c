/// Appends the Prometheus text format 0.0.4 to a byte buffer.
///
/// The format: <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>
struct TextWriter {
    private(set) var bytes: [UInt8] = []

    mutating func reserveCapacity(_ count: Int) {
        bytes.reserveCapacity(count)
    }

    mutating func append(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    mutating func append(_ fragment: [UInt8]) {
        bytes.append(contentsOf: fragment)
    }

    mutating func append(_ value: UInt64) {
        append(String(value))
    }

    /// Whole numbers without a fraction, and Prometheus' spelling of NaN and the infinities.
    mutating func append(_ value: Double) {
        if value.isNaN {
            append("NaN")
        } else if value.isInfinite {
            append(value > 0 ? "+Inf" : "-Inf")
        } else if value.magnitude < 0x1p53, value == value.rounded(.towardZero) {
            append(String(Int64(value)))
        } else {
            append(value.description)
        }
    }

    /// Help text: backslashes and line feeds are escaped, quotes are not.
    mutating func append(escapingHelp text: String) {
        append(text, escapingQuotes: false)
    }

    mutating func append(escapingLabelValue text: String) {
        append(text, escapingQuotes: true)
    }

    mutating func append(_ text: String, escapingQuotes: Bool) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): append("\\\\")
            case UInt8(ascii: "\n"): append("\\n")
            case UInt8(ascii: "\"") where escapingQuotes: append("\\\"")
            default: bytes.append(byte)
            }
        }
    }

    /// The two lines before a metric's samples.
    mutating func appendHeader(name: String, kind: MetricDescriptor.Kind, help: String) {
        append("# HELP \(name) ")
        append(escapingHelp: help)
        append("\n# TYPE \(name) \(kind.rawValue)\n")
    }

    /// `name{labels} `, or `name ` without labels.
    mutating func appendSeries(_ name: String, labels fragment: [UInt8]) {
        append(name)
        if !fragment.isEmpty {
            append("{")
            append(fragment)
            append("}")
        }
        append(" ")
    }

    mutating func appendSample(_ name: String, labels fragment: [UInt8], value: Double) {
        appendSeries(name, labels: fragment)
        append(value)
        append("\n")
    }
}
