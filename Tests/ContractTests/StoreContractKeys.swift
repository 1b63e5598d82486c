import AnalyticsCore
import Dispatch
import GRDB
import TestSupport
import Testing

@testable import AnalyticsEmbedded
@testable import AnalyticsMongoDB

/// A key whose id is in the order of the numbers.
func storedKey(
    _ number: Int, of project: ProjectID = "p", scope: Scope = .write, name: String = "a key", at time: Timestamp = noon
) -> StoredKey {
    let bytes = [UInt8(number >> 8), UInt8(number & 255)] + Array(repeating: 0xEB, count: KeyDigest.byteCount - 2)
    return StoredKey(
        digest: KeyDigest(bytes: bytes)!, project: project, scope: scope, name: name, prefix: "evw_p_abcd", maker: "command line",
        createdAt: time)
}

@Suite("Store contract: keys, and the latch of anonymous access", .timeLimit(.minutes(3)))
struct StoreContractKeys {
    private static let day = Duration.seconds(86_400)

    @Test("a key is kept as it was created, byte for byte", arguments: StoreBackend.available)
    func roundTrip(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let names = [
                "", " ", "e\u{301} \u{E9}", "\u{0}a\u{0}", "\u{1F600}\u{202E}", #"'; DROP TABLE keys; -- "\"#, "$where", "a.b",
                String(repeating: "n", count: StoredKey.longestName),
            ]
            var keys: [StoredKey] = []
            for (number, name) in names.enumerated() {
                var key = storedKey(number, scope: Scope.allCases[number % 3], name: name, at: noon - .seconds(number))
                key.maker = name
                if number.isMultiple(of: 2) { key.expiresAt = noon + Self.day }
                if number.isMultiple(of: 3) { key.revokedAt = Timestamp(milliseconds: -1) }
                if number.isMultiple(of: 4) { key.lastUsedAt = .latest }
                if number % 3 == 1 { key.rates.requestsPerSecond = ProjectRates.allowed.upperBound }
                if number % 4 == 1 { key.rates.eventsPerSecond = number }
                keys.append(key)
            }
            let made = APIKey(project: "p", scope: .admin)
            keys.append(
                StoredKey(
                    digest: made.digest, project: "p", scope: .admin, name: "made", prefix: made.prefix, maker: "m", createdAt: .earliest))
            for key in keys { try await store.createKey(key) }
            for key in keys {
                let found = try #require(try await store.key(key.id))
                #expect(found == key)
                #expect(bytes(found.name) == bytes(key.name) && bytes(found.maker) == bytes(key.maker))
            }
            #expect(try await store.keys(of: "p") == keys.reversed())
            #expect(try await store.keys(of: nil) == keys.reversed())
        }
    }

    @Test("no other text is the id of a key", arguments: StoreBackend.available)
    func unknown(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let key = storedKey(7)
            #expect(try await store.key(key.id) == nil)
            try await store.createKey(key)
            for id in ["", "\u{0}", key.id.uppercased(), key.id + "\u{0}", " " + key.id, String(key.id.dropLast()), storedKey(8).id] {
                #expect(try await store.key(id) == nil, "\(id)")
                try await store.revokeKey(id, at: noon)
                try await store.expireKey(id, at: noon)
                try await store.recordKeyUses([id: noon])
            }
            #expect(try await store.keys(of: nil) == [key])
        }
    }

    @Test("a second key with the same id changes nothing", arguments: StoreBackend.available)
    func again(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let key = storedKey(1)
            try await store.createKey(key)
            for other in [key, storedKey(1, of: "q", scope: .admin, name: "another", at: noon + Self.day)] {
                try await store.createKey(other)
                #expect(try await store.keys(of: nil) == [key])
            }
            try await store.revokeKey(key.id, at: noon)
            try await store.createKey(key)
            #expect(try await store.key(key.id)?.revokedAt == noon)
        }
    }

    @Test("keys are listed by time of creation, then by id", arguments: StoreBackend.available)
    func order(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            #expect(try await store.keys(of: nil) == [])
            // Ids that fall while times rise, three keys per time.
            let projects: [ProjectID] = ["p", "q"]
            let keys = (0..<30).map { (index: Int) -> StoredKey in
                let (time, place) = index.quotientAndRemainder(dividingBy: 3)
                return storedKey(500 - 3 * time + place, of: projects[index % 2], at: noon + .milliseconds(time))
            }
            for key in keys.shuffled() { try await store.createKey(key) }
            #expect(try await store.keys(of: nil) == keys)
            for project in projects {
                #expect(try await store.keys(of: project) == keys.filter { $0.project == project })
            }
            #expect(try await store.keys(of: "unknown") == [])
        }
    }

    @Test("a key is revoked once", arguments: StoreBackend.available)
    func revocation(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            var (key, other) = (storedKey(1), storedKey(2))
            for key in [key, other] { try await store.createKey(key) }
            for time in [noon, noon - Self.day, noon + Self.day] {
                try await store.revokeKey(key.id, at: time)
                key.revokedAt = noon
                #expect(try await store.key(key.id) == key)
            }
            try await store.revokeKey(other.id, at: noon + Self.day)
            other.revokedAt = noon + Self.day
            #expect(try await store.keys(of: "p") == [key, other])
        }
    }

    @Test("an expiry is only lowered", arguments: StoreBackend.available)
    func expiry(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            var (key, other) = (storedKey(1), storedKey(2))
            other.expiresAt = noon + Self.day
            for key in [key, other] { try await store.createKey(key) }
            for time in [noon, noon + Self.day, noon - Self.day, noon] {
                try await store.expireKey(key.id, at: time)
                key.expiresAt = min(key.expiresAt ?? time, time)
                #expect(try await store.key(key.id) == key)
            }
            try await store.expireKey(other.id, at: noon + Self.day * 2)
            #expect(try await store.key(other.id) == other)
            try await store.expireKey(other.id, at: noon)
            other.expiresAt = noon
            #expect(try await store.keys(of: "p") == [key, other])
        }
    }

    @Test("keys are removed by their ids, and the latch stays closed", arguments: StoreBackend.available)
    func removal(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let keys = (0..<3).map { storedKey($0) }
            for key in keys { try await store.createKey(key) }
            try await store.removeKeys([])
            try await store.removeKeys((10..<2_500).map { storedKey($0).id } + [keys[1].id])
            #expect(try await store.keys(of: nil) == [keys[0], keys[2]])
            #expect(try await store.key(keys[1].id) == nil)
            try await store.removeKeys(keys.map(\.id))
            #expect(try await store.keys(of: nil).isEmpty)
            #expect(try await store.isAnonymousAccessClosed())
        }
    }

    @Test("last uses only rise, of many keys at once", arguments: StoreBackend.available)
    func uses(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.recordKeyUses([:])
            var keys = (0..<3).map { storedKey($0) }
            for key in keys { try await store.createKey(key) }
            // More than one message takes, most of unknown keys.
            var uses: [String: Timestamp] = [:]
            for number in 0..<2_500 { uses[storedKey(number).id] = noon + .seconds(number) }
            uses[keys[2].id] = nil
            try await store.recordKeyUses(uses)
            try await store.recordKeyUses([keys[0].id: noon - Self.day, keys[1].id: noon + Self.day])
            (keys[0].lastUsedAt, keys[1].lastUsedAt) = (noon, noon + Self.day)
            #expect(try await store.keys(of: nil) == keys)
        }
    }

    @Test("the first key closes anonymous access, and nothing opens it again", arguments: StoreBackend.available)
    func latch(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let key = storedKey(1)
            _ = try await store.createProject("p", at: noon)
            try await store.revokeKey(key.id, at: noon)
            try await store.recordKeyUses([key.id: noon])
            #expect(try await store.isAnonymousAccessClosed() == false)
            try await store.createKey(key)
            #expect(try await store.isAnonymousAccessClosed())
            try await store.revokeKey(key.id, at: noon)
            try await store.expireKey(key.id, at: .earliest)
            try await store.prepare()
            #expect(try await store.isAnonymousAccessClosed())
        }
    }

    @Test("anonymous access is closed without a key too, once and for ever", arguments: StoreBackend.available)
    func closing(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            #expect(try await store.isAnonymousAccessClosed() == false)
            for time in [noon, noon - Self.day, noon + Self.day] {
                try await store.closeAnonymousAccess(at: time)
                #expect(try await store.isAnonymousAccessClosed())
            }
            #expect(try await store.keys(of: nil) == [])
            try await store.prepare()
            try await store.createKey(storedKey(1))
            try await store.removeKeys([storedKey(1).id])
            #expect(try await store.isAnonymousAccessClosed())
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        try await number.isMultiple(of: 2) ? store.closeAnonymousAccess(at: noon) : store.createKey(storedKey(number))
                        #expect(try await store.isAnonymousAccessClosed())
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("of many that create a key one succeeds, and each sees it and the latch", arguments: StoreBackend.available)
    func racingCreation(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let seen = try await withThrowingTaskGroup(of: StoredKey?.self) { group in
                for number in 0..<24 {
                    group.addTask {
                        // Eight creators per id.
                        let key = storedKey(number / 8, name: "\(number)")
                        try await store.createKey(key)
                        #expect(try await store.isAnonymousAccessClosed())
                        return try await store.key(key.id)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let keys = try await store.keys(of: "p")
            #expect(keys.map(\.id) == (0..<3).map { storedKey($0).id })
            #expect(seen.count == 24 && seen.allSatisfy { key in key.map { keys.contains($0) } ?? false })
        }
    }

    @Test("of racing changes the first revocation, the lowest expiry and the latest use stay", arguments: StoreBackend.available)
    func racingChanges(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let id = storedKey(1).id
            try await store.createKey(storedKey(1))
            let revoked = try await withThrowingTaskGroup(of: Timestamp?.self) { group in
                for number in (0..<30).shuffled() {
                    let time = noon + .seconds(number)
                    group.addTask {
                        try await store.revokeKey(id, at: time)
                        try await store.expireKey(id, at: time)
                        try await store.recordKeyUses([id: time])
                        let key = try await store.key(id)
                        #expect(key?.expiresAt ?? .latest <= time)
                        return key?.revokedAt
                    }
                }
                return try await group.reduce(into: Set<Timestamp?>()) { $0.insert($1) }
            }
            let key = try #require(try await store.key(id))
            #expect(revoked == [key.revokedAt] && key.revokedAt != nil)
            #expect(key.expiresAt == noon && key.lastUsedAt == noon + .seconds(29))
        }
    }

    @Test("keys and records are read while other operations occupy the store", arguments: StoreBackend.available.filter { $0 != .memory })
    func occupied(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let (key, session) = (storedKey(1), smallRecord("a", kind: .session))
            try await store.createKey(key)
            #expect(try await store.write(session))
            // The readers of a SQLite store, and the threads of a test's MongoDB store.
            let count = backend == .sqlite ? 5 : 4
            let (begun, end) = (Counting(), DispatchSemaphore(value: 0))
            let others = (0..<count).map { _ in
                Task {
                    try await occupy(store) {
                        begun.next()
                        end.wait()
                    }
                }
            }
            let result: Result<(StoredKey?, Bool, AnalyticsCore.Record?), any Error>
            do {
                try await eventually("they are occupied") { begun.value == count }
                result = .success(
                    try await Deadline.within(.seconds(5)) { () throws(StoreError) in
                        (try await store.key(key.id), try await store.isAnonymousAccessClosed(), try await store.record(.session, "a"))
                    })
            } catch {
                result = .failure(error)
            }
            for _ in others { end.signal() }
            for other in others { try await other.value }
            let (found, isClosed, record) = try result.get()
            #expect(found == key && isClosed && record == session)
        }
    }

    private func occupy(_ store: any Store, _ body: @escaping @Sendable () -> Void) async throws {
        switch store {
        case let store as SQLiteStore: try await store.read(.scanEvents) { _ in body() }
        case let store as MongoStore: try await store.run(.scanEvents) { _ in body() }
        default: body()
        }
    }
}
