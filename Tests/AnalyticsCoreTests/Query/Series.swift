@testable import AnalyticsCore

/// How many events lie in each interval of a length, in a zone of a fixed offset: a question that only tests ask. It shows that the engine
/// carries more than counts.
struct Series: Question {
    typealias Codec = SeriesCodec
    static let name = "series"

    var selection: Selection
    /// Milliseconds.
    var interval: Int64
    var offset: Int64

    var keyParts: [String] { [String(interval), String(offset)] }

    func reducer(over range: Range<Timestamp>) -> SeriesSums { SeriesSums(self, range) }

    /// The interval that a moment lies in.
    func index(of time: Timestamp) -> Int64 { floorDivide(time.milliseconds - offset, by: interval) }
}

struct SeriesSums: GroupReducer {
    let boundaries: [Timestamp]
    private let series: Series
    private var groups: SelectedGroups
    private var sums: [Int64: Int64] = [:]

    init(_ series: Series, _ range: Range<Timestamp>) {
        self.series = series
        groups = SelectedGroups(series.selection)
        let first = (series.index(of: range.lowerBound) + 1) * series.interval + series.offset
        boundaries = stride(from: first, to: range.upperBound.milliseconds, by: Int(series.interval)).map { Timestamp(milliseconds: $0) }
    }

    private init(emptied: SeriesSums) {
        (boundaries, series, groups) = (emptied.boundaries, emptied.series, emptied.groups)
    }

    var emptied: SeriesSums { SeriesSums(emptied: self) }

    mutating func add(_ table: GroupTable, of bucket: BucketSpan) throws(GroupTable.Unreadable) {
        var found = SIMD4<Int64>()
        try groups.read(table, row: { found &+= $0.quarters })
        for quarter in 0..<4 where found[quarter] > 0 {
            sums[series.index(of: bucket.start(ofQuarter: quarter)), default: 0] += found[quarter]
        }
    }

    mutating func add(_ row: EventCount, from start: Timestamp) -> Bool {
        sums[series.index(of: start), default: 0] += row.count
        return true
    }

    mutating func merge(_ other: SeriesSums) { sums.merge(other.sums, uniquingKeysWith: +) }

    func check() {}

    func answer() -> [Int64: Int64] { sums }
}

/// A line for each interval.
enum SeriesCodec: AnswerCodec {
    static let format: Int64 = 1

    static func encode(_ answer: [Int64: Int64]) -> [UInt8] {
        Array(answer.sorted { $0.key < $1.key }.map { "\($0) \($1)\n" }.joined().utf8)
    }

    static func decode(_ bytes: [UInt8]) throws(AnswerFault) -> [Int64: Int64] {
        var answer: [Int64: Int64] = [:]
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let numbers = line.split(separator: UInt8(ascii: " ")).map { Int64(String(decoding: $0, as: UTF8.self)) }
            guard numbers.count == 2, let index = numbers[0], let count = numbers[1] else { throw .damaged }
            answer[index] = count
        }
        return answer
    }
}
