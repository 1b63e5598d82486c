import TestSupport
import Testing

@testable import AnalyticsCore

struct KeysTests {
    private let store = MemoryStore()
    private let clock = ManualClock()
    private let ids = IDGenerator.counting()

    private var keys: Keys {
        Keys(store: store, clock: clock.wall, audit: AuditLog(store: store, clock: clock.wall, ids: ids))
    }

    private func create(
        _ project: ProjectID = Project.default, scope: Scope = .write, name: String = "web", expiresAt: Timestamp? = nil
    ) async throws -> NewKey {
        try await keys.create(project: project, scope: scope, name: name, expiresAt: expiresAt, by: .command)
    }

    private func stored(_ id: String) async throws -> StoredKey? { try await store.key(id) }

    // MARK: Creating

    @Test(arguments: Scope.allCases)
    func aNewKeyIsStoredByItsDigest(scope: Scope) async throws {
        _ = try await store.createProject("shop", at: noon)
        let new = try await create("shop", scope: scope, expiresAt: noon + .seconds(60))
        #expect(APIKey(new.key.text) == new.key && new.key.scope == scope)
        let expected = StoredKey(
            digest: new.key.digest, project: "shop", scope: scope, name: "web", prefix: new.key.prefix, maker: "command line",
            createdAt: noon, expiresAt: noon + .seconds(60))
        #expect(new.stored == expected && expected.isValid)
        #expect(try await stored(new.stored.id) == expected)
        #expect(try await keys.list(of: "shop") == [expected])
    }

    @Test func aKeyKeepsItsRatesWhenItIsRotated() async throws {
        let rates = ProjectRates(requestsPerSecond: 5)
        let made = try await keys.create(
            project: Project.default, scope: .write, name: "", expiresAt: nil, rates: rates, by: .command)
        #expect(made.stored.rates == rates && made.stored.principal.limitedKey == LimitedKey(id: made.stored.id, rates: rates))
        let rotated = try #require(try await keys.rotate(made.stored.id, overlap: .zero, by: .command))
        #expect(try await stored(rotated.stored.id)?.rates == rates)
        #expect(try await create().stored.principal.limitedKey == nil)
        await #expect(throws: ProjectError.invalidRates) {
            try await keys.create(
                project: Project.default, scope: .write, name: "", expiresAt: nil, rates: ProjectRates(eventsPerSecond: 0), by: .command)
        }
    }

    @Test func theFirstKeyClosesAnonymousAccessForGood() async throws {
        #expect(try await !store.isAnonymousAccessClosed())
        let new = try await create()
        #expect(try await store.isAnonymousAccessClosed())
        _ = try await keys.revoke(new.stored.id, by: .command)
        #expect(try await store.isAnonymousAccessClosed())
    }

    @Test func theProjectMustExistAndOnlyDefaultIsMade() async throws {
        await #expect(throws: KeyError.unknownProject("shop")) { try await create("shop") }
        #expect(try await !store.isAnonymousAccessClosed() && store.records.isEmpty)
        _ = try await create()
        #expect(store.records.map(\.project) == [Project.default] && store.records.first?.createdAt == noon)
        _ = try await create()
        #expect(store.records.count == 1)
    }

    @Test(arguments: [String(repeating: "x", count: 101), String(repeating: "é", count: 51), "a\nb", "a\u{1B}[31m", "a\0", "\u{2028}"])
    func aNameThatIsTooLongOrHasControlCharactersIsRefused(name: String) async throws {
        await #expect(throws: KeyError.invalidName) { try await create(name: name) }
        #expect(try await keys.list(of: nil).isEmpty)
    }

    @Test(arguments: ["", String(repeating: "x", count: 100), "Läden & Söhne 🛍"])
    func anyOtherNameIsAllowed(name: String) async throws {
        #expect(try await create(name: name).stored.name.equalsUTF8(name))
    }

    @Test(arguments: [noon, noon - .milliseconds(1), .earliest, Timestamp(milliseconds: .max)])
    func aKeyExpiresInTheFuture(expiresAt: Timestamp) async throws {
        await #expect(throws: KeyError.invalidExpiry) { try await create(expiresAt: expiresAt) }
    }

    @Test func aProjectHasAThousandValidKeysAndAnyNumberOfOthers() async throws {
        var others = [StoredKey(number: 1), StoredKey(number: 2), StoredKey(number: 3, project: "other")]
        others[0].revokedAt = noon
        others[1].expiresAt = noon
        for key in others + (10..<1_009).map({ StoredKey(number: $0) }) { try await store.createKey(key) }
        _ = try await store.createProject("shop", at: noon)
        let last = try await create("shop")
        await #expect(throws: KeyError.tooMany) { try await create("shop") }
        _ = try await keys.revoke(last.stored.id, by: .command)
        _ = try await create("shop")
        await #expect(throws: KeyError.tooMany) { try await create("shop") }
        _ = try await create()
    }

    @Test func theOldestOfMoreThanAThousandEndedKeysAreDeleted() async throws {
        _ = try await store.createProject("shop", at: noon)
        for number in 0..<1_003 {
            var key = StoredKey(number: number)
            key.createdAt = noon - .seconds(2_000 - number)
            if number.isMultiple(of: 2) { key.revokedAt = noon } else { key.expiresAt = noon }
            try await store.createKey(key)
        }
        let other = StoredKey(number: 5_000, project: "other")
        try await store.createKey(other)
        let new = try await create("shop")
        let kept = try await keys.list(of: "shop").map(\.id)
        #expect(kept == (3..<1_003).map { StoredKey(number: $0).id } + [new.stored.id])
        #expect(try await keys.list(of: "other") == [other])
    }

    // MARK: Who makes a key

    @Test func aCallerWhoseKeyWasRevokedOrExpiredMeanwhileMakesNone() async throws {
        let admin = try await create(scope: .admin, expiresAt: noon + .seconds(60))
        let other = try await create()
        let caller = Administrator(.projects([Project.default]), actor: .key(admin.stored.id))
        let made = try await keys.create(project: Project.default, scope: .admin, name: "", expiresAt: nil, by: caller)
        #expect(made.stored.maker.equalsUTF8(admin.stored.id))
        clock.advance(by: .seconds(60))
        await #expect(throws: KeyRefusal.expired) {
            try await keys.create(project: Project.default, scope: .admin, name: "", expiresAt: nil, by: caller)
        }
        _ = try await keys.revoke(admin.stored.id, by: .command)
        await #expect(throws: KeyRefusal.revoked) { try await keys.rotate(other.stored.id, overlap: .zero, by: caller) }
        await #expect(throws: KeyRefusal.revoked) { try await keys.revoke(other.stored.id, by: caller) }
        let unknown = Administrator(.projects([Project.default]), actor: .key("00000000000000000000"))
        await #expect(throws: KeyRefusal.unknown) {
            try await keys.create(project: Project.default, scope: .read, name: "", expiresAt: nil, by: unknown)
        }
        #expect(try await keys.list(of: nil).count == 3)
        #expect(try await stored(other.stored.id) == other.stored)
    }

    @Test func anAnonymousCallerMakesTheFirstKeyAndNoOther() async throws {
        let caller = Administrator(.projects([Project.default]), actor: .anonymous)
        _ = try await keys.create(project: Project.default, scope: .admin, name: "", expiresAt: nil, by: caller)
        await #expect(throws: KeyRefusal.unknown) {
            try await keys.create(project: Project.default, scope: .admin, name: "", expiresAt: nil, by: caller)
        }
        #expect(try await keys.list(of: nil).count == 1)
    }

    // MARK: Revoking

    @Test func aRevokedKeyStaysInTheListWithTheTimeOfItsFirstRevocation() async throws {
        let new = try await create()
        clock.advance(by: .seconds(5))
        #expect(try await keys.revoke(new.stored.id, by: .command)?.revokedAt == noon + .seconds(5))
        clock.advance(by: .seconds(5))
        #expect(try await keys.revoke(new.stored.id, by: .command.only(Project.default))?.revokedAt == noon + .seconds(5))
        #expect(try await keys.list(of: Project.default).map(\.revokedAt) == [noon + .seconds(5)])
    }

    @Test func aKeyOfAnotherProjectIsLikeOneThatDoesNotExist() async throws {
        _ = try await store.createProject("shop", at: noon)
        let new = try await create("shop")
        for id in [new.stored.id, "00000000000000000000", ""] {
            #expect(try await keys.revoke(id, by: .command.only("other")) == nil)
            #expect(try await keys.rotate(id, overlap: .zero, by: .command.only("other")) == nil)
        }
        #expect(try await stored(new.stored.id) == new.stored)
        #expect(try await keys.list(of: nil).count == 1)
        #expect(try await keys.revoke("00000000000000000000", by: .command) == nil)
    }

    // MARK: Rotating

    @Test func aRotatedKeyIsReplacedAndExpiresAfterTheOverlap() async throws {
        let old = try await create(scope: .read, name: "dashboards")
        clock.advance(by: .seconds(100))
        let owner = Administrator(.projects([Project.default]), actor: .administrator)
        let new = try #require(try await keys.rotate(old.stored.id, overlap: .seconds(60), by: owner))
        #expect(new.key != old.key && new.stored.scope == .read && new.stored.project == Project.default)
        #expect(new.stored.name.equalsUTF8("dashboards") && new.stored.maker.equalsUTF8("administrator"))
        #expect(new.stored.createdAt == noon + .seconds(100) && new.stored.expiresAt == nil)
        #expect(try await stored(old.stored.id)?.expiresAt == noon + .seconds(160))
        #expect(try await stored(new.stored.id) == new.stored)
    }

    @Test func aKeyThatExpiresIsReplacedByOneThatLivesAsLong() async throws {
        let old = try await create(expiresAt: noon + .seconds(1_000))
        clock.advance(by: .seconds(900))
        let new = try #require(try await keys.rotate(old.stored.id, overlap: .seconds(3_600), by: .command))
        #expect(new.stored.expiresAt == noon + .seconds(1_900))
        #expect(try await stored(old.stored.id)?.expiresAt == noon + .seconds(1_000), "the overlap does not make it live longer")
    }

    @Test func aKeyThatIsNoLongerValidIsNotRotated() async throws {
        let revoked = try await create()
        _ = try await keys.revoke(revoked.stored.id, by: .command)
        let expired = try await create(expiresAt: noon + .seconds(1))
        clock.advance(by: .seconds(1))
        for key in [revoked, expired] {
            await #expect(throws: KeyError.invalidExpiry) {
                try await keys.rotate(key.stored.id, overlap: .zero, by: .command)
            }
        }
        #expect(try await keys.list(of: nil).count == 2)
    }

    @Test func aKeyMayReplaceItselfAtOnce() async throws {
        let old = try await create(scope: .admin)
        let itself = Administrator(.projects([Project.default]), actor: .key(old.stored.id))
        let new = try await keys.rotate(old.stored.id, overlap: .zero, by: itself)
        #expect(try await stored(try #require(new).stored.id)?.refusal(at: noon) == nil)
        #expect(try await stored(old.stored.id)?.refusal(at: noon) == .expired)
    }

    @Test func anOverlapIsNoneToThirtyDays() async throws {
        let key = try await create()
        for overlap in [Duration.milliseconds(-1), Keys.longestOverlap + .milliseconds(1)] {
            await #expect(throws: KeyError.invalidExpiry) {
                try await keys.rotate(key.stored.id, overlap: overlap, by: .command)
            }
        }
        _ = try #require(try await keys.rotate(key.stored.id, overlap: .zero, by: .command))
        #expect(try await stored(key.stored.id)?.refusal(at: noon) == .expired)
    }

    @Test func everyErrorIsOneLine() {
        for error in [KeyError.unknownProject("shop"), .tooMany, .invalidName, .invalidExpiry] {
            #expect(!"\(error)".isEmpty && !"\(error)".containsUTF8("\n"))
        }
    }
}
