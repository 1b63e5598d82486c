import CoreMetrics
import PrometheusExposition
import Testing

@Suite("Label limit")
struct LabelLimitTests {
    @Test("series beyond the limit share one, nothing is lost, and it is counted")
    func overflow() {
        let exposition = Exposition(limits: .init(seriesPerMetric: 3))
        for index in 1...10 {
            exposition.counter("events_total", [("type", "t\(index)"), ("source", "s")]).increment(by: index)
        }
        #expect(
            exposition.lines("events_total") == [
                #"events_total{source="__other__",type="__other__"} 49"#,
                #"events_total{source="s",type="t1"} 1"#,
                #"events_total{source="s",type="t2"} 2"#,
                #"events_total{source="s",type="t3"} 3"#,
            ]
        )
        #expect(exposition.value(#"metrics_label_limit_exceeded_total{metric="events_total"}"#) == "7")
    }

    @Test("a series that was there before the limit was reached keeps counting")
    func knownSeries() {
        let exposition = Exposition(limits: .init(seriesPerMetric: 1))
        exposition.counter("events_total", [("type", "a")]).increment()
        exposition.counter("events_total", [("type", "b")]).increment()
        exposition.counter("events_total", [("type", "a")]).increment()
        #expect(exposition.value(#"events_total{type="a"}"#) == "2")
    }

    @Test("a caller that uses the shared value itself makes no second series of it, before or after")
    func sharedValueAsLabel() {
        let exposition = Exposition(limits: .init(seriesPerMetric: 2))
        for type in ["__other__", "a", "b", "__other__"] { exposition.counter("events_total", [("type", type)]).increment() }
        #expect(exposition.lines("events_total") == [#"events_total{type="__other__"} 3"#, #"events_total{type="a"} 1"#])
    }

    @Test("other label names do not make a second shared series")
    func otherLabelNames() {
        let exposition = Exposition(limits: .init(seriesPerMetric: 1))
        for name in ["a", "b", "c"] { exposition.counter("events_total", [(name, "1")]).increment() }
        #expect(exposition.lines("events_total") == [#"events_total{a="1"} 1"#, #"events_total{b="__other__"} 2"#])
    }

    @Test("the limit is a metric's own")
    func perMetric() {
        let exposition = Exposition(limits: .init(seriesPerMetric: 1))
        exposition.counter("a_total", [("x", "1")]).increment()
        exposition.counter("b_total", [("x", "1")]).increment()
        #expect(exposition.lines("metrics_label_limit_exceeded_total").isEmpty)
    }

    @Test("a destroyed series makes room")
    func destroyed() {
        let exposition = Exposition(limits: .init(seriesPerMetric: 1))
        exposition.counter("events_total", [("type", "a")]).destroy()
        exposition.counter("events_total", [("type", "b")]).increment()
        #expect(exposition.lines("events_total") == [#"events_total{type="b"} 1"#])
    }
}
