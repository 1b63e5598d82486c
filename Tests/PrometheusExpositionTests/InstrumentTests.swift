import CoreMetrics
import PrometheusExposition
import Testing

@Suite("Instruments")
struct InstrumentTests {
    @Test("a counter adds up, and ignores what would make it go down")
    func counter() {
        let exposition = Exposition()
        let counter = exposition.counter("events_total")
        counter.increment(by: 41)
        counter.increment()
        counter.increment(by: -5)
        #expect(exposition.value("events_total") == "42")
        counter.reset()
        #expect(exposition.value("events_total") == "0")
    }

    @Test("a counter stays exact beyond what a Double can count")
    func largeCounter() {
        let exposition = Exposition()
        let counter = exposition.counter("bytes_total")
        counter.increment(by: 9_007_199_254_740_993)
        #expect(exposition.value("bytes_total") == "9007199254740993")
    }

    @Test("a floating point counter keeps its fractions, and ignores what is not a number")
    func floatingPointCounter() {
        let exposition = Exposition()
        let counter = exposition.factory.makeFloatingPointCounter(label: "seconds_total", dimensions: [])
        counter.increment(by: 0.25)
        counter.increment(by: 2)
        counter.increment(by: 1.5)
        counter.increment(by: -.infinity)
        counter.increment(by: .nan)
        #expect(exposition.value("seconds_total") == "3.75")
    }

    @Test("a gauge shows the last value, a meter moves up and down")
    func gaugeAndMeter() {
        let exposition = Exposition()
        exposition.gauge("lag_seconds").record(1.5)
        exposition.gauge("lag_seconds").record(0.000_025)
        let meter = exposition.meter("in_flight")
        meter.set(3)
        meter.increment(by: 2.0)
        meter.decrement()
        #expect(exposition.value("lag_seconds") == "2.5e-05")
        #expect(exposition.value("in_flight") == "4")
    }

    @Test(
        "what is not a number is spelled as Prometheus spells it",
        arguments: [(Double.nan, "NaN"), (.infinity, "+Inf"), (-.infinity, "-Inf")])
    func notFinite(value: Double, spelling: String) {
        let exposition = Exposition()
        exposition.gauge("value").record(value)
        #expect(exposition.value("value") == spelling)
    }

    @Test("the same name and dimensions, in any order, are one series")
    func sameSeries() {
        let exposition = Exposition()
        exposition.counter("requests_total", [("method", "GET"), ("route", "/")]).increment()
        exposition.counter("requests_total", [("route", "/"), ("method", "GET")]).increment()
        #expect(exposition.lines("requests_total") == [#"requests_total{method="GET",route="/"} 2"#])
    }

    @Test("a destroyed instrument's series is gone, and starts again at zero")
    func destroy() {
        let exposition = Exposition()
        let counter = exposition.counter("sessions_total", [("peer", "a")])
        exposition.counter("sessions_total", [("peer", "b")]).increment()
        counter.increment(by: 7)
        counter.destroy()
        #expect(exposition.lines("sessions_total") == [#"sessions_total{peer="b"} 1"#])
        exposition.counter("sessions_total", [("peer", "a")]).increment()
        #expect(exposition.value(#"sessions_total{peer="a"}"#) == "1")
    }

    @Test("a metric without series leaves no header behind")
    func destroyLast() {
        let exposition = Exposition()
        let counter = exposition.counter("sessions_total")
        counter.destroy()
        #expect(!exposition.registry.renderText().contains("sessions"))
    }
}
