/// Cache format: the format number, the counts of buckets and series, each series, the series of the others if present, and the total.
enum TimeseriesCodec: AnswerCodec {
    static let format: Int64 = 1

    static func encode(_ answer: Timeseries) -> [UInt8] {
        var writer = TableWriter()
        writer.number(format)
        writer.number(Int64((answer.series.first ?? answer.other)?.values.count ?? 0))
        writer.number(Int64(answer.series.count))
        for series in answer.series { writer.series(series) }
        writer.number(answer.other == nil ? 0 : 1)
        if let other = answer.other { writer.series(other) }
        writer.value(answer.total)
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(AnswerFault) -> Timeseries {
        try TableCursor.answer(in: bytes, format: format) { (cursor) throws(GroupTable.Unreadable) in
            let (buckets, count) = (try cursor.length(), try cursor.length())
            let series = try (0..<count).map { (_) throws(GroupTable.Unreadable) in try cursor.series(buckets: buckets) }
            let other = try cursor.number() == 0 ? nil : try cursor.series(buckets: buckets)
            return Timeseries(series: series, other: other, total: try cursor.value())
        }
    }
}

extension TableWriter {
    fileprivate mutating func series(_ series: Timeseries.Series) {
        number(series.key == nil ? 0 : 1)
        if let key = series.key { self.key(key) }
        for value in series.values { self.value(value) }
        value(series.total)
    }
}

extension TableCursor {
    fileprivate mutating func series(buckets: Int) throws(GroupTable.Unreadable) -> Timeseries.Series {
        let key = try number() == 0 ? nil : try key()
        let values = try (0..<buckets).map { (_) throws(GroupTable.Unreadable) in try value() }
        return Timeseries.Series(key: key, values: values, total: try value())
    }
}
