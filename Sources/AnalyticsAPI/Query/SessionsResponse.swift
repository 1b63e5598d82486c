internal import AnalyticsCore
internal import AnalyticsJSON

enum SessionsResponse {
    static func answer(_ answered: Answered<Sessions>, to question: QuestionParameters, zones: ZoneDatabase) -> QuestionAnswer {
        let (answer, range) = (answered.answer, question.range)
        let begin = JSONPart.once { writer in
            QuestionResponse.common(range, asOf: answered.asOf, to: &writer)
            writer.member("interval", range.interval.rawValue)
            writer.member("sessions", answer.total.sessions)
            for (name, value) in members {
                writer.key(name)
                writer.metricValue(value(answer.total))
            }
        }
        let values = JSONPart.list("values", of: answer.buckets) { bucket, writer in writer.integer(bucket.sessions) }
        let series = members.flatMap { name, value in
            JSONPart.list(name, of: answer.buckets) { bucket, writer in writer.metricValue(value(bucket)) }
        }
        let seriesBegin = JSONPart.once { writer in
            writer.key("series")
            writer.beginObject()
        }
        return QuestionAnswer(
            headers: QuestionResponse.headers(isCached: answered.isCached, zones: zones), size: answer.size, capacity: answer.size,
            parts: [begin] + QuestionResponse.buckets(range) + values + [seriesBegin] + series + [.once { $0.endObject() }]
                + pages("entryPages", answer.entryPages, of: answer) + pages("exitPages", answer.exitPages, of: answer),
            settled: question.settled)
    }

    /// Members in addition to the number of sessions, for the total and per bucket.
    private static let members: [(name: StaticString, value: @Sendable (Sessions.Figures) -> MetricValue)] = [
        ("users", { .integer($0.users) }), ("medianSeconds", { number($0.medianSeconds) }), ("p90Seconds", { number($0.p90Seconds) }),
        ("eventsPerSession", { number($0.eventsPerSession) }), ("bounceRate", { number($0.bounceRate) }),
    ]

    private static func number(_ value: Double?) -> MetricValue { value.map { .double($0) } ?? .none }

    private static func pages(_ key: StaticString, _ pages: [Sessions.Page], of answer: Sessions) -> [JSONPart] {
        JSONPart.list(key, of: pages) { page, writer in
            writer.beginObject()
            writer.key("page")
            writer.groupKey(page.page)
            writer.member("sessions", page.sessions)
            writer.key("share")
            writer.metricValue(number(answer.share(of: page)))
            writer.endObject()
        }
    }
}

enum TrendsResponse {
    static func answer(_ answered: Answered<Timeseries>, to question: QuestionParameters, zones: ZoneDatabase) -> QuestionAnswer {
        let range = question.range
        let begin = JSONPart.once { writer in
            QuestionResponse.common(range, asOf: answered.asOf, to: &writer)
            writer.member("interval", range.interval.rawValue)
        }
        let trends = JSONPart.list("trends", of: answered.answer.series) { series, writer in
            writer.beginObject()
            writer.key("event")
            writer.groupKey(series.key ?? .null)
            writer.key("total")
            writer.metricValue(series.total)
            writer.key("points")
            writer.beginArray()
            for (start, value) in zip(range.starts, series.values) {
                writer.beginObject()
                writer.member("time", range.text(start))
                writer.key("value")
                writer.metricValue(value)
                writer.endObject()
            }
            writer.endArray()
            writer.endObject()
        }
        let size = answered.answer.size
        return QuestionAnswer(
            headers: QuestionResponse.headers(isCached: answered.isCached, zones: zones), size: size, capacity: size,
            parts: [begin] + trends, settled: question.settled)
    }
}
