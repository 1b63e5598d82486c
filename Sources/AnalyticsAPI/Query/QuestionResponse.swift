internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird

/// The common members of answers to questions about a range.
enum QuestionResponse {
    static func headers(isCached: Bool, zones: ZoneDatabase) -> HTTPFields {
        [.xCache: isCached ? "HIT" : "MISS", .timeZoneData: zones.version ?? "unknown"]
    }

    /// `from`, `to`, `tz`, `asOf` and `incompleteFrom`.
    ///
    /// - Parameter incompleteFrom: For a question whose buckets are not those of its range.
    static func common(
        _ range: QuestionRange, asOf: Timestamp, hasBuckets: Bool = true, incompleteFrom: Timestamp? = nil, to writer: inout JSONWriter
    ) {
        writer.member("from", range.text(range.from))
        writer.member("to", range.text(range.to))
        writer.member("tz", range.zone.text)
        writer.member("asOf", range.text(asOf))
        writer.key("incompleteFrom")
        if let start = hasBuckets ? range.incompleteFrom(at: asOf) : incompleteFrom {
            writer.string(range.text(start))
        } else {
            writer.json("null".utf8)
        }
    }

    static func buckets(_ range: QuestionRange) -> [JSONPart] {
        JSONPart.list("buckets", of: range.starts) { start, writer in writer.string(range.text(start)) }
    }
}

extension HTTPField.Name {
    /// The release of the time zone data behind the answer.
    fileprivate static let timeZoneData = HTTPField.Name("X-Time-Zone-Data")!
}

struct TimeseriesResponse {
    var range: QuestionRange
    var metric: Metric
    var asOf: Timestamp
    var answer: Timeseries
    var isCached: Bool
    /// The compared range and its answer.
    var earlier: (range: QuestionRange, answer: Timeseries)?

    /// Approximate bytes in memory.
    var size: Int { answer.size + (earlier?.answer.size ?? 0) + range.starts.count * 8 }

    func answer(to question: QuestionParameters, zones: ZoneDatabase) -> QuestionAnswer {
        let begin = JSONPart.once { [range, metric, asOf] writer in
            QuestionResponse.common(range, asOf: asOf, to: &writer)
            writer.member("interval", range.interval.rawValue)
            writer.member("metric", metric.text)
        }
        var parts = [begin] + Self.parts(range, answer)
        if let earlier {
            let begin = JSONPart.once { writer in
                writer.key("compare")
                writer.beginObject()
                writer.member("from", earlier.range.text(earlier.range.from))
                writer.member("to", earlier.range.text(earlier.range.to))
            }
            parts += [begin] + Self.parts(earlier.range, earlier.answer) + [.once { $0.endObject() }]
        }
        return QuestionAnswer(
            headers: QuestionResponse.headers(isCached: isCached, zones: zones), size: size, capacity: size, parts: parts,
            settled: question.settled)
    }

    private static func parts(_ range: QuestionRange, _ answer: Timeseries) -> [JSONPart] {
        let series = JSONPart.list("series", of: answer.series) { series, writer in
            writer.beginObject()
            writer.key("name")
            if let key = series.key { writer.groupKey(key) } else { writer.string("all") }
            writer.values(of: series)
            writer.endObject()
        }
        let end = JSONPart.once { writer in
            writer.key("other")
            if let other = answer.other {
                writer.beginObject()
                writer.values(of: other)
                writer.endObject()
            } else {
                writer.json("null".utf8)
            }
            writer.key("total")
            writer.metricValue(answer.total)
        }
        return QuestionResponse.buckets(range) + series + [end]
    }
}

enum TopResponse {
    static func answer(
        _ top: Top, to question: QuestionParameters, asOf: Timestamp, isCached: Bool, zones: ZoneDatabase
    ) -> QuestionAnswer {
        let range = question.range
        let begin = JSONPart.once { QuestionResponse.common(range, asOf: asOf, hasBuckets: false, to: &$0) }
        let items = JSONPart.list("items", of: top.items) { item, writer in
            writer.beginObject()
            writer.key("key")
            writer.groupKey(item.key)
            writer.key("value")
            writer.metricValue(item.value)
            writer.key("share")
            if let share = top.share(of: item.value) { writer.double(share) } else { writer.json("null".utf8) }
            writer.endObject()
        }
        let end = JSONPart.once { writer in
            writer.key("total")
            writer.metricValue(top.total)
            writer.key("other")
            writer.metricValue(top.other)
        }
        return QuestionAnswer(
            headers: QuestionResponse.headers(isCached: isCached, zones: zones), size: top.size, capacity: 256 + top.items.count * 48,
            parts: [begin] + items + [end], settled: question.settled)
    }
}

enum UniquesResponse {
    static func answer(
        _ answer: Timeseries, to question: QuestionParameters, asOf: Timestamp, isCached: Bool, zones: ZoneDatabase
    ) -> QuestionAnswer {
        let range = question.range
        let begin = JSONPart.once { writer in
            QuestionResponse.common(range, asOf: asOf, to: &writer)
            writer.member("interval", range.interval.rawValue)
            writer.key("total")
            writer.metricValue(answer.total)
        }
        let values = JSONPart.list("values", of: answer.series.first?.values ?? []) { value, writer in writer.metricValue(value) }
        return QuestionAnswer(
            headers: QuestionResponse.headers(isCached: isCached, zones: zones), size: answer.size, capacity: 256 + answer.size,
            parts: [begin] + QuestionResponse.buckets(range) + values, settled: question.settled)
    }
}

extension JSONWriter {
    fileprivate mutating func values(of series: Timeseries.Series) {
        key("values")
        beginArray()
        for value in series.values { metricValue(value) }
        endArray()
        key("total")
        metricValue(series.total)
    }

    mutating func metricValue(_ value: MetricValue) {
        switch value {
        case .none: json("null".utf8)
        case .integer(let value): integer(value)
        case .double(let value): double(value)
        }
    }

    mutating func groupKey(_ key: GroupKey) {
        switch key {
        case .null: json("null".utf8)
        case .boolean(let value): boolean(value)
        case .number(.integer(let value)): integer(value)
        case .number(.double(let value)): double(value)
        case .text(let text): string(text.text)
        }
    }
}
