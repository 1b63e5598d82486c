import TestSupport
import Testing

@testable import AnalyticsCore

struct BoundedMapTests {
    /// Beside an array in the order of last use.
    @Test(arguments: 0..<50 as Range<UInt64>)
    func holdsTheMostRecentlyUsed(seed: UInt64) {
        var random = Seeded(seed)
        let limit = 1 + random.below(12)
        var map = BoundedMap<Int, Int>(limit: limit)
        var model: [(key: Int, value: Int)] = []
        for step in 0..<600 {
            let key = random.below(20)
            let place = model.firstIndex { $0.key == key }
            switch random.below(5) {
            case 0:
                let value = map.use(key)
                #expect(value == place.map { model[$0].value })
                if let place { model.append(model.remove(at: place)) }
            case 1:
                #expect(map[key] == place.map { model[$0].value })
            case 2:
                map.update(key) { $0 += 1 }
                if let place { model[place].value += 1 }
            case 3 where random.chance(10):
                map.updateAll { $0 -= 1 }
                for place in model.indices { model[place].value -= 1 }
            default:
                map.set(step, for: key)
                if let place { model.remove(at: place) }
                model.append((key, step))
                if model.count > limit { model.removeFirst() }
            }
            #expect(map.count == model.count)
        }
        for key in 0..<20 { #expect(map[key] == model.first(where: { $0.key == key })?.value) }
    }
}
