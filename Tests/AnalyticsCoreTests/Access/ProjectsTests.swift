import TestSupport
import Testing

@testable import AnalyticsCore

struct ProjectsTests {
    private let store = MemoryStore()
    private let clock = ManualClock()
    private let ids = IDGenerator.counting()

    private var projects: Projects {
        Projects(store: store, clock: clock.wall, audit: AuditLog(store: store, clock: clock.wall, ids: ids))
    }

    @Test func aProjectIsCreatedOnce() async throws {
        let record = try await projects.create("shop", title: "The shop", by: .command)
        #expect(record == ProjectRecord(project: "shop", title: "The shop", createdAt: noon))
        await #expect(throws: ProjectError.exists("shop")) { try await projects.create("shop", title: "Another", by: .command) }
        #expect(try await projects.record(of: "shop") == record)
        #expect(try await projects.record(of: "none") == nil)
    }

    @Test func aProjectWithoutATitleHasNone() async throws {
        #expect(try await projects.create("a", title: nil, by: .command).title == nil)
        #expect(try await projects.create("b", title: "", by: .command).title == nil)
    }

    @Test(arguments: [String(repeating: "x", count: 201), String(repeating: "é", count: 101), "a\nb", "\u{1B}[2J"])
    func aTitleThatIsTooLongOrHasControlCharactersIsRefused(title: String) async throws {
        await #expect(throws: ProjectError.invalidTitle) { try await projects.create("shop", title: title, by: .command) }
        #expect(try await projects.list().isEmpty, "nothing is created")
        _ = try await projects.create("shop", title: nil, by: .command)
        await #expect(throws: ProjectError.invalidTitle) {
            try await projects.change("shop", ProjectChange(title: title, isArchived: true), by: .command)
        }
        #expect(try await projects.record(of: "shop")?.archivedAt == nil, "nothing is changed")
    }

    @Test func projectsAreListedById() async throws {
        for project in ["b", "a_b", "a", "a-b", "a0"] as [ProjectID] { _ = try await projects.create(project, title: nil, by: .command) }
        #expect(try await projects.list().map(\.project) == ["a", "a-b", "a0", "a_b", "b"])
    }

    @Test func onlyWhatIsNamedIsChanged() async throws {
        let zone = try #require(ZoneName("Europe/Berlin"))
        let path = try PropertyPath("data.plan")
        _ = try await projects.create("shop", title: "Shop", by: .command)
        let all = ProjectChange(
            title: "Laden", timeZone: zone, retentionDays: 30, properties: [path], visitorIds: true, origins: ["https://shop.example"],
            rates: ProjectRates(requestsPerSecond: 10, eventsPerSecond: 100), isArchived: true)
        let changed = try await projects.change("shop", all, by: .command)
        let expected = ProjectRecord(
            project: "shop", retentionDays: 30, changedAt: noon, timeZone: zone, properties: [path], hasVisitorIds: true, title: "Laden",
            createdAt: noon, archivedAt: noon, origins: ["https://shop.example"],
            rates: ProjectRates(requestsPerSecond: 10, eventsPerSecond: 100))
        #expect(changed == expected && expected.isValid)
        #expect(try await projects.change("shop", ProjectChange(), by: .command) == expected)
        let less = ProjectChange(title: "", properties: [], origins: [], rates: ProjectRates(eventsPerSecond: 5), isArchived: false)
        let last = try await projects.change("shop", less, by: .command)
        #expect(last?.title == nil && last?.properties == [] && last?.origins == [] && last?.archivedAt == nil)
        #expect(last?.rates == ProjectRates(eventsPerSecond: 5) && last?.timeZone == zone && last?.hasVisitorIds == true)
    }

    @Test func anArchivedProjectKeepsItsTime() async throws {
        _ = try await projects.create("shop", title: nil, by: .command)
        _ = try await projects.change("shop", ProjectChange(isArchived: true), by: .command)
        clock.advance(by: .seconds(60))
        #expect(try await projects.change("shop", ProjectChange(isArchived: true), by: .command)?.archivedAt == noon)
        #expect(try await projects.change("shop", ProjectChange(isArchived: false), by: .command)?.archivedAt == nil)
        #expect(try await projects.change("shop", ProjectChange(isArchived: true), by: .command)?.archivedAt == noon + .seconds(60))
    }

    @Test func aProjectThatDoesNotExistIsNotChangedAndDefaultIsMade() async throws {
        #expect(try await projects.change("shop", ProjectChange(title: "Shop"), by: .command) == nil)
        #expect(store.records.isEmpty)
        #expect(try await projects.change(Project.default, ProjectChange(title: "First"), by: .command)?.title == "First")
    }

    @Test func ratesAndBoundsAreChecked() async throws {
        _ = try await projects.create("shop", title: nil, by: .command)
        for rate in [0, -1, 10_000_001, Int.max] {
            for rates in [ProjectRates(requestsPerSecond: rate), ProjectRates(requestsPerSecond: 1, eventsPerSecond: rate)] {
                await #expect(throws: ProjectError.invalidRates) {
                    try await projects.change("shop", ProjectChange(rates: rates), by: .command)
                }
            }
        }
        for days in [-1, RetentionPlan.maximumDays + 1] {
            await #expect(throws: StoreError.self) { try await projects.change("shop", ProjectChange(retentionDays: days), by: .command) }
        }
        let paths = try (0...ProjectRecord.maximumProperties).map { try PropertyPath("data.p\($0)") }
        await #expect(throws: StoreError.self) { try await projects.change("shop", ProjectChange(properties: paths), by: .command) }
        #expect(try await projects.record(of: "shop") == ProjectRecord(project: "shop", createdAt: noon))
    }

    // MARK: Origins

    @Test(arguments: [
        ("https://shop.example", "https://shop.example"), ("http://localhost:8080", "http://localhost:8080"),
        ("HTTPS://Shop.Example", "https://shop.example"), ("https://shop.example:443", "https://shop.example"),
        ("http://shop.example:80", "http://shop.example"), ("http://shop.example:443", "http://shop.example:443"),
        ("https://xn--lden-loa.example", "https://xn--lden-loa.example"), ("http://192.0.2.1:3000", "http://192.0.2.1:3000"),
        ("http://[::1]", "http://[::1]"), ("http://[2001:db8::1]:8080", "http://[2001:db8::1]:8080"),
    ])
    func anOriginIsStoredAsBrowsersSendIt(origin: String, stored: String) async throws {
        _ = try await projects.create("shop", title: nil, by: .command)
        #expect(try await projects.change("shop", ProjectChange(origins: [origin, stored]), by: .command)?.origins == [stored])
    }

    @Test(arguments: [
        "", "null", "*", "shop.example", "https://", "https://shop.example/", "https://shop.example/path", "https://*.example",
        "https://user@shop.example", "https://shop.example:", "https://shop.example:0", "https://shop.example:080",
        "https://shop.example:65536", "https://shop.example:+80", "ftp://shop.example", "https://shop..example", "https://.example",
        "https://läden.example", "https://shop.example?a", "https://shop.example#a", "https://shop.example\n", " https://shop.example",
        "https://[::1", "https://[shop]", "https://[192.0.2.1]", "https://::1", "https://a b", "https://shop.example,https://b.example",
        "https://" + String(repeating: "a", count: 300),
    ])
    func otherTextsAreNoOrigins(origin: String) async throws {
        _ = try await projects.create("shop", title: nil, by: .command)
        await #expect(throws: ProjectError.invalidOrigin(origin)) {
            try await projects.change("shop", ProjectChange(origins: ["https://shop.example", origin]), by: .command)
        }
        #expect(try await projects.record(of: "shop")?.origins == [])
    }

    @Test func aProjectHasFiftyOrigins() async throws {
        _ = try await projects.create("shop", title: nil, by: .command)
        let origins = (0...ProjectRecord.maximumOrigins).map { "https://s\($0).example" }
        await #expect(throws: ProjectError.tooManyOrigins) {
            try await projects.change("shop", ProjectChange(origins: origins), by: .command)
        }
        let allowed = Array(origins.dropLast())
        #expect(try await projects.change("shop", ProjectChange(origins: allowed), by: .command)?.origins == allowed)
    }

    @Test func everyErrorIsOneLine() {
        for error in [ProjectError.exists("a"), .invalidTitle, .invalidOrigin("x"), .tooManyOrigins, .invalidRates] {
            #expect(!"\(error)".isEmpty && !"\(error)".containsUTF8("\n"))
        }
    }
}
