/// Series as the cache keeps them: the format, how many buckets and how many series there are; for each series its name and a number per bucket;
/// 1 and the numbers of the other groups, or 0. All numbers are LEB128.
enum TimeseriesCodec: AnswerCodec {
    static let format: Int64 = 1

    static func encode(_ answer: Timeseries) -> [UInt8] {
        var writer = TableWriter()
        writer.number(format)
        writer.number(Int64((answer.series.first ?? answer.other)?.values.count ?? 0))
        writer.number(Int64(answer.series.count))
        for series in answer.series {
            writer.text(series.name)
            for value in series.values { writer.number(value) }
        }
        writer.number(answer.other == nil ? 0 : 1)
        for value in answer.other?.values ?? [] { writer.number(value) }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(AnswerFault) -> Timeseries {
        let answer: Timeseries?
        do throws(GroupTable.Unreadable) {
            answer = try bytes.withUnsafeBufferPointer { (buffer) throws(GroupTable.Unreadable) -> Timeseries? in
                var cursor = TableCursor(buffer)
                guard try cursor.number() == format else { return nil }
                let (buckets, count) = (try cursor.length(), try cursor.length())
                let series = try (0..<count).map { (_) throws(GroupTable.Unreadable) in
                    try cursor.series(named: GroupTable.string(cursor.text()), buckets: buckets)
                }
                let other = try cursor.number() == 0 ? nil : try cursor.series(named: "", buckets: buckets)
                guard cursor.isAtEnd else { throw .damaged }
                return Timeseries(series: series, other: other)
            }
        } catch {
            throw .damaged
        }
        guard let answer else { throw .unknownFormat }
        return answer
    }
}

extension TableCursor {
    fileprivate mutating func series(named name: String, buckets: Int) throws(GroupTable.Unreadable) -> Timeseries.Series {
        var series = Timeseries.Series(name: name, values: [], total: 0)
        for _ in 0..<buckets {
            let value = try number()
            let (total, overflow) = series.total.addingReportingOverflow(value)
            guard !overflow else { throw .damaged }
            series.values.append(value)
            series.total = total
        }
        return series
    }
}
