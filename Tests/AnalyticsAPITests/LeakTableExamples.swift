import HTTPTypes

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// A request that a route answers to its project's owner.
struct Example {
    var query: String
    var body: String?
    var headers: HTTPFields

    init(_ query: String = "", body: String? = nil, headers: HTTPFields = [:]) {
        self.query = query
        self.body = body
        self.headers = headers
    }

    static func json(_ body: String, _ query: String = "", headers: HTTPFields = [:]) -> Example {
        var headers = headers
        headers[.contentType] = "application/json"
        return Example(query, body: body, headers: headers)
    }

    private static func form(_ body: String) -> Example {
        Example(body: body, headers: [.contentType: "application/x-www-form-urlencoded"])
    }

    /// A route that is not named has one without a query and a body. The test of scopes fails if its owner gets no answer to that.
    static func of(_ route: String) -> [Example] {
        let known = sending(route) ?? asking(route) ?? graphite(route) ?? managing(route) ?? signingIn(route) ?? []
        return known.isEmpty ? [Example()] : known
    }

    private static func sending(_ route: String) -> [Example]? {
        let event = #"{"id":"zqxeventa","type":"t","source":"s","data":{}}"#
        let unnamed = #"{"type":"t","source":"s","data":{}}"#
        switch route {
        case "POST /api/v1/events":
            return [.json(event, "wait=stored"), .json(unnamed, "wait=stored", headers: [.idempotencyKey: "zqxkey"])]
        case "POST /api/v1/events/batch":
            return [.json("[\(event)]", "wait=stored"), .json("[\(unnamed)]", headers: [.idempotencyKey: "zqxkey"])]
        case "POST /api/v1/identify": return [.json(#"{"userId":"zqxuser","anonymousId":"zqxdevice"}"#)]
        case "POST /ingest":
            return [
                .json(#"{"event_id":"zqxeventb","user_id":"zqxuser","event_name":"t","event_time":"2026-03-01T11:00:00Z","payload":{}}"#)
            ]
        case "POST /event":
            return [.json(#"{"site_id":"s","event_type":"t","path":"/","user_id":"zqxuser","timestamp":"2026-03-01T11:00:00Z"}"#)]
        default: return nil
        }
    }

    private static func asking(_ route: String) -> [Example]? {
        let steps = #""steps":[{"types":["zqxtype"]},{"types":["zqxother"]}]"#
        switch route {
        case "GET /api/v1/events":
            return [
                Example(), Example("limit=1"), Example("type=zqxtype&userId=zqxuser&correlationId=zqxcorrelation&data.zqxkey=zqxvalue"),
            ]
        case "GET /api/v1/events/counts": return [Example(), Example("groupBy=source")]
        case "GET /api/v1/events/export":
            return [Example(), Example("format=csv"), Example("afterTimestamp=2026-03-01T11:59:58Z&afterId=zqxeventa")]
        case "GET /api/v1/analytics/timeseries", "GET /analytics/timeseries":
            return [Example("groupBy=type"), Example("metric=users"), Example("groupBy=data.zqxkey")]
        case "GET /api/v1/analytics/topn", "GET /analytics/topn":
            return [Example("dimension=type"), Example("dimension=userId"), Example("dimension=data.zqxkey&metric=users")]
        case "GET /api/v1/analytics/paths": return [Example("start=zqxtype")]
        case "POST /api/v1/analytics/funnels": return [.json("{\(steps)}")]
        case "POST /api/funnels": return [.json(#"{"steps":["zqxtype","zqxother"]}"#)]
        case "POST /api/v1/analytics/retention": return [.json(#"{"interval":"day"}"#)]
        case "POST /api/v1/analytics/people":
            return [
                .json(#"{"question":"uniques","parameters":{}}"#), .json(#"{"question":"funnels","step":1,"body":{\#(steps)}}"#),
            ]
        case "GET /api/trends": return [Example(), Example("event=zqxtype")]
        case "GET /stats": return [Example("site_id=zqxsource&date=2026-03-01")]
        case "GET /api/v1/users/{id}": return [Example(), Example("limit=100")]
        case "DELETE /api/v1/users/{id}": return [Example("type=zqxtype")]
        case "POST /api/v1/erasures": return [Example("userId=zqxuser&type=zqxtype")]
        default: return nil
        }
    }

    private static func graphite(_ route: String) -> [Example]? {
        switch route {
        case "GET /graphite/render": return [Example("target=*.*.*"), Example("target=victim.*.*&from=-2d")]
        case "POST /graphite/render": return [form("target=*.*.*&from=-2d")]
        case "GET /graphite/metrics/find": return [Example("query=*"), Example("query=*.*"), Example("query=victim.*")]
        case "POST /graphite/metrics/find": return [form("query=*.*")]
        case "GET /graphite/metrics/expand": return [Example("query=*.*"), Example("query=victim.*.*")]
        case "GET /graphite/tags/autoComplete/values": return [Example("tag=type"), Example("tag=project")]
        default: return nil
        }
    }

    private static func managing(_ route: String) -> [Example]? {
        switch route {
        case "POST /api/v1/projects": return [.json(#"{"id":"new"}"#)]
        case "PATCH /api/v1/projects/{project}": return [.json(#"{"visitorIds":true}"#)]
        case "POST /api/v1/projects/{project}/keys": return [.json(#"{"scope":"read"}"#)]
        case "POST /api/v1/projects/{project}/keys/{id}/rotate": return [.json(#"{"overlapSeconds":60}"#)]
        case "POST /api/v1/projects/{project}/members": return [member(.spare, .viewer)]
        case "PATCH /api/v1/projects/{project}/members/{id}": return [.json(#"{"role":"viewer"}"#)]
        case "POST /api/v1/accounts": return [.json(#"{"email":"new@shop.example"}"#)]
        case "PATCH /api/v1/accounts/{id}": return [.json(#"{"name":"New"}"#)]
        case "GET /api/v1/audit": return [Example("project=victim"), Example("project=victim&limit=1")]
        default: return nil
        }
    }

    /// Makes a person a member.
    static func member(_ person: Person, _ role: Role) -> Example {
        .json(#"{"email":"\#(person.email)","role":"\#(role.rawValue)"}"#)
    }

    private static func signingIn(_ route: String) -> [Example]? {
        switch route {
        case "POST /api/v1/auth/sign-in":
            return [.json(#"{"email":"\#(Person.own.email)","password":"\#(TestService.password)"}"#)]
        case "POST /api/v1/auth/accept": return [.json(#"{"token":"unknown","password":"\#(TestService.password)"}"#)]
        // With a wrong password and a wrong code: the caller keeps its session.
        case "POST /api/v1/auth/password": return [.json(#"{"current":"wrong","new":"\#(TestService.password)"}"#)]
        case "POST /api/v1/auth/totp/confirm": return [.json(#"{"code":"1"}"#)]
        case "POST /api/v1/auth/totp", "DELETE /api/v1/auth/totp": return [.json(#"{"password":"wrong"}"#)]
        default: return nil
        }
    }
}
