internal import CoreMetrics

extension ErasureJob {
    private static let shortest: Duration = .seconds(60)

    /// Reads everything that may be covered, newest first, and deletes what is covered. Resumes an interrupted pass.
    mutating func walk() async throws {
        let lists = erasure.selections
        var step: Duration?
        try await repair()
        while erasure.walk.list < lists.count {
            let list = lists[erasure.walk.list]
            while let slice = try await nextSlice(of: list, &step) {
                // Durable before anything of the slice is deleted.
                erasure.walk.slice = slice
                try await write()
                try await erase(slice, of: list)
            }
            erasure.walk.list += 1
            erasure.walk.end = nil
            try await write()
        }
    }

    /// A range that ends with the newest event not yet looked at, within its UTC day. `step`: the length of time that the store can search
    /// before its deadline; `nil` for all.
    private mutating func nextSlice(of list: Selection, _ step: inout Duration?) async throws -> Range<Timestamp>? {
        guard let extent = try await store.extent(project: erasure.project) else { return nil }
        let bottom = max(list.from ?? extent.lowerBound, extent.lowerBound)
        var top = [list.to, erasure.walk.end, extent.upperBound].compactMap(\.self).min() ?? bottom
        while top > bottom {
            var part = list
            part.from = step.map { max(bottom, top - $0) } ?? bottom
            part.to = top
            let start = part.from ?? bottom
            try await hold()
            do throws(StoreError) {
                let newest = try await store.events(matching: part, after: nil, limit: 1, byteLimit: 1).first?.event.timestamp
                if let newest { return max(start, Timestamp(day: newest.day))..<newest + .milliseconds(1) }
                top = start
                step = step.map { $0 * 2 }
            } catch {
                guard error.code == .timedOut, top - start > Self.shortest else { throw error }
                step = max((top - start) / 2, Self.shortest)
            }
        }
        return nil
    }

    /// Deletes the covered events of a slice and marks their minutes.
    private mutating func erase(_ slice: Range<Timestamp>, of list: Selection) async throws {
        let removal = EventRemoval(store: store)
        let filter = ErasureFilter([erasure.tombstone])
        var part = list
        (part.from, part.to) = (slice.lowerBound, slice.upperBound)
        var position: EventPosition?
        var isTouched = false
        while true {
            try await hold()
            let page: [Event]
            do throws(StoreError) {
                page = try await store.events(matching: part, after: position, limit: settings.page, byteLimit: 8 << 20).map(\.event)
            } catch {
                // Timed out: read less of the day. The rest becomes another slice.
                let (from, top) = (part.from ?? slice.lowerBound, position?.timestamp ?? slice.upperBound)
                guard error.code == .timedOut, top - from > Self.shortest else { throw error }
                part.from = top - max((top - from) / 2, Self.shortest)
                continue
            }
            guard let last = page.last else { break }
            position = EventPosition(timestamp: last.timestamp, id: last.id)
            let covered = page.filter { filter.covers($0) }
            guard !covered.isEmpty else { continue }
            isTouched = true
            try await hold()
            let count = try await Deadline.within(Self.deletion) { () async throws(StoreError) in try await removal.remove(covered) }
            ErasureMetrics.deleted.increment(by: count)
            erasure.deletedEvents += Int64(count)
            erasure.walk.found += Int64(count)
            try await elapsed.sleep(settings.pause)
        }
        if isTouched { try await discard(slice) }
        erasure.walk.end = part.from ?? slice.lowerBound
        erasure.walk.slice = nil
    }

    /// Marks all minutes in which another worker or a flush may have deleted events without marking them.
    mutating func repair() async throws {
        if let slice = erasure.walk.slice { try await repair(slice) }
        for day in (erasure.repairs + erasure.repaired).joined() { try await repair(Timestamp(day: day)..<Timestamp(day: day + 1)) }
    }

    /// Marks every known minute of the slice.
    private mutating func repair(_ slice: Range<Timestamp>) async throws {
        try await hold()
        try await EventRemoval(store: store).mark(erasure.project, minutesOf: slice)
        try await discard(slice)
        erasure.walk.found += 1
        erasure.walk.slice = nil
    }

    private mutating func discard(_ slice: Range<Timestamp>) async throws {
        let (now, day) = (clock.now(), slice.lowerBound.day)
        try await hold()
        try await EventRemoval(store: store).discard(erasure.project, days: [day], at: now)
        erasure.touch(day)
        erasure.erasedAt = max(erasure.erasedAt ?? now, now)
    }
}
