internal import AnalyticsCore
internal import HTTPTypes

/// Stable codes of request errors; callers branch on them. The errors of a single event are in ``RejectionCode``.
enum ProblemCode: String, CaseIterable {
    case invalidJSON = "invalid_json"
    case invalidEnvelope = "invalid_envelope"
    case emptyBatch = "empty_batch"
    case tooManyEvents = "too_many_events"
    case eventsRejected = "events_rejected"
    case invalidParameter = "invalid_parameter"
    case unknownParameter = "unknown_parameter"
    case expiredRange = "expired_range"
    case invalidHeader = "invalid_header"
    case invalidContentEncoding = "invalid_content_encoding"
    case incompleteBody = "incomplete_body"
    case bodyTimeout = "body_timeout"
    case malformedRequest = "malformed_request"
    case missingKey = "missing_key"
    case invalidKey = "invalid_key"
    case revokedKey = "revoked_key"
    case expiredKey = "expired_key"
    case invalidSession = "invalid_session"
    case wrongCredentials = "wrong_credentials"
    case codeRequired = "code_required"
    case wrongCode = "wrong_code"
    case signInRefused = "sign_in_refused"
    case projectRequired = "project_required"
    case weakPassword = "weak_password"
    case insufficientScope = "insufficient_scope"
    case hostNotAllowed = "host_not_allowed"
    case originNotAllowed = "origin_not_allowed"
    case projectArchived = "project_archived"
    case notFound = "not_found"
    case eventNotFound = "event_not_found"
    case userNotFound = "user_not_found"
    case erasureNotFound = "erasure_not_found"
    case projectNotFound = "project_not_found"
    case keyNotFound = "key_not_found"
    case accountNotFound = "account_not_found"
    case memberNotFound = "member_not_found"
    case invitationNotFound = "invitation_not_found"
    case methodNotAllowed = "method_not_allowed"
    case projectExists = "project_exists"
    case accountExists = "account_exists"
    case changedMeanwhile = "changed_meanwhile"
    case bodyTooLarge = "body_too_large"
    case tooManyErasures = "too_many_erasures"
    case unsupportedMediaType = "unsupported_media_type"
    case unsupportedContentEncoding = "unsupported_content_encoding"
    case headersTooLarge = "headers_too_large"
    case rateLimited = "rate_limited"
    case tooManyAttempts = "too_many_attempts"
    case `internal` = "internal"
    case brokerUnavailable = "broker_unavailable"
    case storeUnavailable = "store_unavailable"
    case providerUnavailable = "provider_unavailable"
    case queryTooLarge = "query_too_large"
    case queryTimeout = "query_timeout"
    case overloaded = "overloaded"
    case tooManyAnswers = "too_many_answers"
    case notReady = "not_ready"

    var status: HTTPResponse.Status {
        switch self {
        case .invalidJSON, .invalidEnvelope, .emptyBatch, .tooManyEvents, .eventsRejected, .invalidParameter, .unknownParameter,
            .expiredRange, .invalidHeader, .invalidContentEncoding, .incompleteBody, .malformedRequest, .projectRequired, .weakPassword:
            .badRequest
        case .bodyTimeout: .requestTimeout
        case .missingKey, .invalidKey, .revokedKey, .expiredKey, .invalidSession, .wrongCredentials, .codeRequired, .wrongCode,
            .signInRefused:
            .unauthorized
        case .insufficientScope, .hostNotAllowed, .originNotAllowed, .projectArchived: .forbidden
        case .notFound, .eventNotFound, .userNotFound, .erasureNotFound, .projectNotFound, .keyNotFound, .accountNotFound, .memberNotFound,
            .invitationNotFound:
            .notFound
        case .projectExists, .accountExists, .changedMeanwhile: .conflict
        case .tooManyErasures: .unprocessableContent
        case .methodNotAllowed: .methodNotAllowed
        case .bodyTooLarge: .contentTooLarge
        case .unsupportedMediaType, .unsupportedContentEncoding: .unsupportedMediaType
        case .headersTooLarge: .requestHeaderFieldsTooLarge
        case .rateLimited, .tooManyAttempts: .tooManyRequests
        case .internal: .internalServerError
        case .brokerUnavailable, .storeUnavailable, .providerUnavailable, .queryTooLarge, .queryTimeout, .overloaded, .tooManyAnswers,
            .notReady:
            .serviceUnavailable
        }
    }

    /// RFC 9457, section 3.1.3: the same for every occurrence.
    var title: String {
        switch self {
        case .invalidJSON: "The body is not valid JSON"
        case .invalidEnvelope: "The body is no batch of events"
        case .emptyBatch: "There is no event in the request"
        case .tooManyEvents: "Too many events in one request"
        case .eventsRejected: "Every event was rejected"
        case .invalidParameter: "A query parameter is wrong"
        case .unknownParameter: "A query parameter is not known"
        case .expiredRange: "The range cuts a minute whose events are deleted"
        case .invalidHeader: "A header is wrong"
        case .invalidContentEncoding: "The body is not what Content-Encoding says"
        case .incompleteBody: "The body ended too soon"
        case .bodyTimeout: "The body took too long"
        case .malformedRequest: "The request is not valid HTTP"
        case .missingKey: "The request needs a key"
        case .invalidKey: "There is no such key"
        case .revokedKey: "The key is revoked"
        case .expiredKey: "The key has expired"
        case .invalidSession: "There is no such session, or it has ended"
        case .wrongCredentials: "The address or the password is wrong"
        case .codeRequired: "The account needs a code, too"
        case .wrongCode: "The code is wrong"
        case .signInRefused: "Nobody was signed in"
        case .projectRequired: "The request names no project"
        case .weakPassword: "The password is too weak"
        case .insufficientScope: "The caller may not do this"
        case .hostNotAllowed: "The service is not known by this name"
        case .originNotAllowed: "Pages of other sites may not do this"
        case .projectArchived: "The project is archived"
        case .notFound: "There is nothing here"
        case .eventNotFound: "There is no such event"
        case .userNotFound: "There is no such user"
        case .erasureNotFound: "There is no such erasure"
        case .projectNotFound: "There is no such project"
        case .keyNotFound: "There is no such key"
        case .accountNotFound: "There is no such account"
        case .memberNotFound: "There is no such member"
        case .invitationNotFound: "There is no such invitation"
        case .tooManyErasures: "The project has as many erasures as it may have"
        case .methodNotAllowed: "The method is not allowed here"
        case .projectExists: "There is such a project"
        case .accountExists: "There is such an account"
        case .changedMeanwhile: "It was changed by others meanwhile"
        case .bodyTooLarge: "The body is too large"
        case .unsupportedMediaType: "The content type is not supported"
        case .unsupportedContentEncoding: "The content encoding is not supported"
        case .headersTooLarge: "The headers are too large"
        case .rateLimited: "More is sent than is allowed"
        case .tooManyAttempts: "Too many attempts"
        case .internal: "The service failed"
        case .brokerUnavailable: "The broker did not confirm"
        case .storeUnavailable: "The store is not available"
        case .providerUnavailable: "The sign-in provider is not available"
        case .queryTooLarge: "The counts take more than one answer may"
        case .queryTimeout: "The question took too long"
        case .overloaded: "The service has too much to do"
        case .tooManyAnswers: "Too many answers wait to be read"
        case .notReady: "The service is not ready"
        }
    }
}
