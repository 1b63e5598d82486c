import AnalyticsJSON

final class Holder: Sendable {
    let parser = JSONParser()  // refused
}
