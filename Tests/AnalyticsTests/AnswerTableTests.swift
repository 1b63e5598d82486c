import ArgumentParser
import Foundation
import Testing

@testable import analytics

struct AnswerTableTests {
    private func table(_ json: String) throws -> AnswerTable { try AnswerTable(Data(json.utf8)) }

    @Test func aSeriesIsARowPerBucket() throws {
        let table = try table(
            #"{"buckets":["2026-03-01","2026-03-02"],"series":[{"name":"a,b","values":[1,20],"total":21}],"other":{"values":[3,4],"total":7},"#
                + #""compare":{"buckets":["2026-02-22"],"series":[{"name":"a,b","values":[5],"total":5}],"other":null}}"#)
        #expect(
            table.text(.csv)
                == "bucket,\"a,b\",(other),compared bucket,\"a,b (compared)\"\r\n2026-03-01,1,3,2026-02-22,5\r\n2026-03-02,20,4,,")
        #expect(
            table.text(.table) == """
                bucket      a,b  (other)  compared bucket  a,b (compared)
                2026-03-01    1        3       2026-02-22               5
                2026-03-02   20        4\(String(repeating: " ", count: 33))
                """)
    }

    @Test func sessionsHaveAColumnForEachFigure() throws {
        #expect(
            try table(
                #"{"sessions":3,"buckets":["2026-03-01","2026-03-02"],"values":[1,2],"series":{"users":[1,1],"medianSeconds":[null,1.5],"#
                    + #""p90Seconds":[null,2],"eventsPerSession":[1,2],"bounceRate":[1,0.5]}}"#
            ).text(.csv)
                == "bucket,sessions,users,medianSeconds,p90Seconds,eventsPerSession,bounceRate\r\n2026-03-01,1,1,,,1,1\r\n2026-03-02,2,1,1.5,2,2,0.5"
        )
    }

    @Test func funnelsHaveARowForEachStepAndRetentionOneForEachCohort() throws {
        let step = #"{"users":3,"shareOfFirst":1,"shareOfPrevious":1,"medianSeconds":null,"p90Seconds":null}"#
        #expect(
            try table(#"{"steps":[\#(step)],"groups":[{"key":null,"steps":[\#(step)]}],"other":{"steps":[\#(step)]}}"#).text(.csv)
                == "group,step,users,shareOfFirst,shareOfPrevious,medianSeconds,p90Seconds\r\n(all),1,3,1,1,,\r\n(none),1,3,1,1,,\r\n(other),1,3,1,1,,"
        )
        #expect(
            try table(#"{"cohorts":[{"start":"2026-03-01","size":3,"values":[3,1]},{"start":"2026-03-02","size":1,"values":[0,0]}]}"#).text(
                .csv)
                == "cohort,size,period 0,period 1\r\n2026-03-01,3,3,1\r\n2026-03-02,1,0,0")
    }

    @Test func lifecycleStickinessAndPathsHaveTables() throws {
        #expect(
            try table(
                #"{"buckets":["2026-03-01"],"series":{"new":[1],"returning":[2],"resurrecting":[3],"dormant":[4]}}"#
            ).text(.csv) == "bucket,new,returning,resurrecting,dormant\r\n2026-03-01,1,2,3,4")
        #expect(
            try table(#"{"users":3,"values":[{"intervals":1,"users":2,"atLeast":3},{"intervals":2,"users":1,"atLeast":1}]}"#).text(.csv)
                == "intervals,users,atLeast\r\n1,2,3\r\n2,1,1")
        let first = #"{"step":0,"paths":3,"users":2,"nodes":[{"key":null,"paths":3,"users":2}],"otherNodes":0,"edges":[],"otherEdges":0}"#
        let second =
            #"{"step":1,"paths":2,"users":2,"nodes":[],"otherNodes":2,"edges":[{"from":null,"to":7,"paths":1,"users":1}],"otherEdges":1}"#
        #expect(
            try table(#"{"steps":[\#(first),\#(second)]}"#).text(.csv)
                == "step,from,to,paths,users\r\n0,,(none),3,2\r\n1,(none),7,1,1\r\n1,,(other),1,")
    }

    @Test func thePipelineHasARowForEachMinute() throws {
        let counts =
            #""accepted":9,"stored":4,"duplicates":1,"deadLettered":1,"erased":1,"inFlight":1,"redelivered":1,"uncounted":0,"unconfirmed":2,"#
            + #""rejected":{"too_deep":2,"invalid_type":3}"#
        #expect(
            try table(#"{"addsUp":true,"total":{\#(counts)},"minutes":[{"minute":"2026-03-01T11:01:00.000Z",\#(counts)}]}"#).text(.csv)
                == "minute,accepted,stored,duplicates,deadLettered,erased,inFlight,redelivered,uncounted,unconfirmed,rejected\r\n"
                + "2026-03-01T11:01:00.000Z,9,4,1,1,1,1,1,0,2,5\r\n(total),9,4,1,1,1,1,1,0,2,5")
    }

    @Test func peopleAndAUserHaveTables() throws {
        let people = #"[{"userId":"ann","first":"f","last":"l","events":2},{"anonymousId":"d1","first":null,"last":null,"events":0}]"#
        #expect(
            try table(#"{"total":5,"people":\#(people),"nextCursor":null}"#).text(.csv)
                == "id,kind,first,last,events\r\nann,userId,f,l,2\r\nd1,anonymousId,,,0\r\n(total),,,,5")
        #expect(
            try table(#"{"userId":"ann","events":3,"types":[{"type":"view","events":2}],"otherTypes":1}"#).text(.csv)
                == "type,events\r\nview,2\r\n(other),1\r\n(total),3")
        let command = try #require(try Analytics.parseAsRoot(["query", "user", "id=a/b", "limit=3"]) as? Query)
        #expect(command.path == "/api/v1/users/a%2Fb?limit=3")
        for wrong in [["user"], ["user", "id=a", "id=b"], ["user", "limit=1"], ["topn", "id=a"], ["people"]] {
            #expect(throws: (any Error).self) { try Analytics.parseAsRoot(["query"] + wrong) }
        }
    }

    @Test func aBodyGoesWithTheQuestionsThatHaveOne() throws {
        let command = try #require(try Analytics.parseAsRoot(["query", "funnels", "--body", "{}"]) as? Query)
        #expect(command.question.hasBody && command.body == "{}")
        for wrong in [["funnels"], ["funnels", "from=x", "--body", "{}"], ["topn", "--body", "{}"]] {
            #expect(throws: (any Error).self) { try Analytics.parseAsRoot(["query"] + wrong) }
        }
    }

    @Test func topsAndCountsEndWithWhatIsNotListed() throws {
        #expect(
            try table(#"{"items":[{"key":"a\"b","value":3,"share":0.75}],"total":4,"other":1}"#).text(.csv)
                == "key,value,share\r\n\"a\"\"b\",3,0.75\r\n(other),1,\r\n(total),4,")
        #expect(
            try table(#"{"counts":{"b":1,"a":1,"c":2},"total":5,"other":1}"#).text(.csv)
                == "group,events\r\nc,2\r\na,1\r\nb,1\r\n(other),1\r\n(total),5")
    }

    @Test func whatWouldSteerATerminalIsEscaped() throws {
        let text = try table(#"{"counts":{"\u001b[2Jx":1},"total":1,"other":0}"#).text(.table)
        #expect(text.contains("\\u{1B}[2Jx") && !text.utf8.contains(0x1B))
    }

    @Test func theCommandIsThere() throws {
        let command = try #require(try Analytics.parseAsRoot(["query", "topn", "dimension=type", "n=3", "--format", "csv"]) as? Query)
        #expect(command.question == .topn && command.parameters == ["dimension=type", "n=3"] && command.format == .csv)
        #expect(try Analytics.parseAsRoot(["projects", "set", "--time-zone", "Europe/Berlin"]) is SetProject)
        #expect(throws: (any Error).self) { try Analytics.parseAsRoot(["projects", "set", "--time-zone", "Mars/Olympus"]) }
        #expect(throws: (any Error).self) { try Analytics.parseAsRoot(["query", "topn", "dimension"]) }
        #expect((try Analytics.parseAsRoot(["query", "uniques", "--bots", "include"]) as? Query)?.bots == .include)
        for wrong in [["uniques", "--bots", "yes"], ["counts", "--bots", "exclude"]] {
            #expect(throws: (any Error).self) { try Analytics.parseAsRoot(["query"] + wrong) }
        }
        #expect((try Analytics.parseAsRoot(["projects", "set", "--visitor-ids", "on"]) as? SetProject)?.visitorIds == .on)
        #expect(throws: (any Error).self) { try Analytics.parseAsRoot(["projects", "set", "--visitor-ids", "yes"]) }
        #expect(throws: (any Error).self) { try Analytics.parseAsRoot(["projects", "set"]) }
    }

    @Test(arguments: ["[]", "{}", "nonsense"])
    func anotherAnswerHasNoTable(json: String) { #expect(throws: (any Error).self) { try table(json) } }
}
