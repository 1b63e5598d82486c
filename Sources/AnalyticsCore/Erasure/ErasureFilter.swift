internal import Algorithms

/// The tombstones of a project, indexed by the ids that they name.
struct ErasureFilter: Sendable {
    fileprivate struct Group {
        var users = Places()
        var identified = Places()
        var anonymous = Places()
        /// Tried on every event.
        var general: [Int] = []
    }

    /// Which tombstones name a digest. A sorted list takes less memory than a table for a million digests.
    fileprivate struct Places {
        private var entries: [(digest: SaltedDigest, place: Int32)] = []

        var isEmpty: Bool { entries.isEmpty }

        mutating func add(_ digests: Set<SaltedDigest>, _ place: Int) { entries += digests.map { ($0, Int32(place)) } }

        /// To be called after the last `add`.
        mutating func sort() { entries.sort { $0 < $1 } }

        subscript(digest: SaltedDigest) -> [Int] {
            let first = entries.partitioningIndex { $0.digest >= digest }
            return entries[first...].prefix { $0.digest == digest }.map { Int($0.place) }
        }
    }

    private let tombstones: [Tombstone]
    private var groups: [Salt: Group] = [:]

    init(_ tombstones: [Tombstone]) {
        self.tombstones = tombstones
        for (place, tombstone) in tombstones.enumerated() {
            var group = groups[tombstone.salt] ?? Group()
            // Taken out of the dictionary to avoid a copy per tombstone.
            groups[tombstone.salt] = nil
            group.users.add(tombstone.users, place)
            group.identified.add(tombstone.identified, place)
            // Tombstones with users are found by their users.
            if tombstone.users.isEmpty { group.anonymous.add(tombstone.anonymous, place) }
            if tombstone.isGeneral { group.general.append(place) }
            groups[tombstone.salt] = group
        }
        for salt in groups.keys {
            groups[salt]?.users.sort()
            groups[salt]?.identified.sort()
            groups[salt]?.anonymous.sort()
        }
    }

    /// The indexes of the covered events.
    func covered(_ events: [Event]) -> [Int] {
        guard !groups.isEmpty else { return [] }
        var readers: [Int: PropertyReader] = [:]
        return events.indices.filter { covers(events[$0], &readers) }
    }

    func covers(_ event: Event) -> Bool {
        var readers: [Int: PropertyReader] = [:]
        return covers(event, &readers)
    }

    /// Whether an erasure names the user of a link but does not know its anonymous id.
    func lacks(_ link: Erasure.LateLink, receivedAt: Timestamp) -> Bool {
        groups.contains { salt, group in
            group.users[SaltedDigest(salt, .user, link.user.text)].contains { place in
                tombstones[place].names(link, receivedAt: receivedAt) && !tombstones[place].knows(link)
            }
        }
    }

    private func covers(_ event: Event, _ readers: inout [Int: PropertyReader]) -> Bool {
        for (salt, group) in groups {
            for place in group.candidates(for: event, salt) {
                let tombstone = tombstones[place]
                if !tombstone.data.isEmpty, readers[place] == nil { readers[place] = PropertyReader(tombstone.paths) }
                if tombstone.covers(event, reading: readers[place]) { return true }
            }
        }
        return false
    }
}

extension ErasureFilter.Group {
    fileprivate func candidates(for event: Event, _ salt: Salt) -> [Int] {
        var candidates = general
        if let user = event.userId {
            if !users.isEmpty { candidates += users[SaltedDigest(salt, .user, user)] }
            if let id = event.anonymousId, !anonymous.isEmpty { candidates += anonymous[SaltedDigest(salt, .anonymous, id)] }
        } else if let id = event.anonymousId, !(identified.isEmpty && anonymous.isEmpty) {
            let digest = SaltedDigest(salt, .anonymous, id)
            candidates += identified[digest] + anonymous[digest]
        }
        return candidates
    }
}
