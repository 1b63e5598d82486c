import CoreMetrics
import PrometheusExposition
import Testing

@Suite("Catalogue")
struct CatalogueTests {
    @Test("type and help come from the catalogue, and each is written once before the metric's samples")
    func header() {
        let exposition = Exposition([MetricDescriptor(name: "events_total", kind: .counter, help: "Events.")])
        exposition.counter("events_total", [("type", "b")]).increment()
        exposition.counter("events_total", [("type", "a")]).increment()
        let text = exposition.registry.renderText()
        #expect(
            text.hasPrefix(
                """
                # HELP events_total Events.
                # TYPE events_total counter
                events_total{type="a"} 1
                events_total{type="b"} 1

                """
            )
        )
    }

    @Test("a declared name is exposed as it is declared, with or without the conventional ending")
    func declaredNames() {
        let exposition = Exposition([
            MetricDescriptor(name: "odd_counter", kind: .counter, help: "Odd."),
            MetricDescriptor(name: "run_seconds", kind: .histogram, help: "Run."),
        ])
        exposition.counter("odd_counter").increment()
        exposition.timer("run").recordSeconds(1)
        #expect(exposition.value("odd_counter") == "1")
        #expect(exposition.value("run_seconds_count") == "1")
    }

    @Test("a recorder feeds whichever of gauge and histogram is declared")
    func recorders() {
        let exposition = Exposition([
            MetricDescriptor(name: "depth", kind: .gauge, help: "Depth."),
            MetricDescriptor(name: "size", kind: .histogram, help: "Size."),
        ])
        exposition.recorder("depth").record(3)
        exposition.gauge("size").record(3)
        #expect(exposition.value("depth") == "3")
        #expect(exposition.value("size_count") == "1")
    }

    @Test("what contradicts the declared type is not exposed, and counted")
    func typeConflict() {
        let exposition = Exposition([MetricDescriptor(name: "depth", kind: .gauge, help: "Depth.")])
        exposition.meter("depth").set(1)
        exposition.timer("depth_seconds").recordSeconds(1)
        #expect(exposition.value(#"metrics_refused_total{reason="type_conflict"}"#) == "0")
        exposition.meter("depth_seconds").set(1)
        exposition.gauge("depth_seconds_count").record(1)
        #expect(exposition.lines("# TYPE depth") == ["# TYPE depth gauge", "# TYPE depth_seconds histogram"])
        #expect(exposition.value("depth_seconds_count") == "1")
        #expect(exposition.value(#"metrics_refused_total{reason="type_conflict"}"#) == "2")
    }

    @Test("names beyond the limit are not exposed, and counted; declared ones always are")
    func nameLimit() {
        let exposition = Exposition(
            [MetricDescriptor(name: "declared_total", kind: .counter, help: "Declared.")], limits: .init(undeclaredMetrics: 2))
        for index in 1...4 { exposition.counter("c\(index)").increment() }
        exposition.counter("declared").increment()
        #expect(exposition.lines("c") == ["c1_total 1", "c2_total 1"])
        #expect(exposition.value("declared_total") == "1")
        #expect(exposition.value(#"metrics_refused_total{reason="name_limit"}"#) == "2")
    }
}
