import AnalyticsJSON

func refused() {
    let parser = JSONParser()
    let other = parser
    _ = (parser, other)  // refused
}
