public import AnalyticsJSON

extension JSONWriter {
    /// The representation of a month in the API and the command line.
    public mutating func members(of month: Usage.Month) {
        member("month", month.month.text)
        member("events", month.events)
        key("days")
        beginArray()
        for day in month.days {
            beginObject()
            member("day", Timestamp(day: day.day).date)
            member("events", day.events)
            endObject()
        }
        endArray()
    }
}
