internal import AnalyticsCore

enum ExportFormat: String, CaseIterable, Sendable {
    case ndjson
    case csv

    var contentType: String { self == .ndjson ? "application/x-ndjson" : "text/csv; charset=utf-8" }

    /// From `Accept` (RFC 9110, section 12.5.1): the type with the larger weight; NDJSON if neither is named or the weights are equal.
    init(accept: String?) {
        var weights: [ExportFormat: Double] = [:]
        for part in (accept ?? "").splitUTF8(",") {
            let words = part.splitUTF8(";").map { $0.removingUTF8(" ", "\t").lowercasedASCII() }
            let weight = words.dropFirst().first { $0.starts(withUTF8: "q=") }.flatMap { Double($0.trimmingUTF8(first: 2)) } ?? 1
            guard let type = words.first else { continue }
            if MediaType.ndjson.contains(type) { weights[.ndjson] = max(weights[.ndjson] ?? 0, weight) }
            if type.equalsUTF8("text/csv") { weights[.csv] = weight }
        }
        self = (weights[.csv] ?? 0) > (weights[.ndjson] ?? 0) ? .csv : .ndjson
    }
}
