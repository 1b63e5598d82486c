import CoreMetrics
import PrometheusExposition
import Testing

@Suite("Names and labels")
struct NamingTests {
    @Test(
        "an undeclared counter gets a valid and conventional name",
        arguments: [
            ("hb.requests", "hb_requests_total"),
            ("requestCount", "request_count_total"),
            ("job:rate", "job_rate_total"),
            ("5xx", "_5xx_total"),
            ("größe", "gr__e_total"),
            ("", "unnamed_total"),
            ("done_total", "done_total"),
        ])
    func counterNames(label: String, name: String) {
        let exposition = Exposition()
        exposition.counter(label).increment()
        #expect(exposition.value(name) == "1")
    }

    @Test("an undeclared timer's name ends in its unit")
    func timerNames() {
        let exposition = Exposition()
        exposition.timer("hb.request.duration").recordSeconds(1)
        #expect(exposition.value("hb_request_duration_seconds_count") == "1")
    }

    @Test("label names are made valid, and those that belong to Prometheus are left alone")
    func labelNames() {
        let exposition = Exposition()
        exposition.gauge("value", [("user.agent", "a"), ("__name__", "b"), ("statusCode", "c"), ("", "d")]).record(1)
        #expect(exposition.lines("value") == [#"value{_name__="b",label="d",status_code="c",user_agent="a"} 1"#])
    }

    @Test("label names that become the same are one label, the later value counts")
    func sameLabelNames() {
        let exposition = Exposition()
        exposition.gauge("value", [("a.b", "first"), ("a_b", "second")]).record(1)
        #expect(exposition.lines("value") == [#"value{a_b="second"} 1"#])
    }

    @Test("an empty label value is no label, as Prometheus sees it")
    func emptyLabelValue() {
        let exposition = Exposition()
        exposition.counter("events_total", [("type", "")]).increment()
        exposition.counter("events_total").increment()
        #expect(exposition.lines("events_total") == ["events_total 2"])
    }

    @Test("label values and help texts are escaped")
    func escaping() {
        let exposition = Exposition([MetricDescriptor(name: "value", kind: .gauge, help: "A \\ and a \"quote\"\nin two lines.")])
        exposition.gauge("value", [("path", "C:\\dir\n\"é\" \u{1F980}")]).record(1)
        #expect(exposition.lines("# HELP value ") == [#"# HELP value A \\ and a "quote"\nin two lines."#])
        #expect(exposition.lines("value{") == ["value{path=\"C:\\\\dir\\n\\\"é\\\" \u{1F980}\"} 1"])
    }

    @Test("a long label value is cut between two characters")
    func longLabelValue() {
        let exposition = Exposition(limits: .init(labelValueBytes: 5))
        exposition.counter("events_total", [("type", "ééé")]).increment()
        exposition.counter("events_total", [("type", "éééé")]).increment()
        #expect(exposition.lines("events_total") == [#"events_total{type="éé"} 2"#])
    }
}
