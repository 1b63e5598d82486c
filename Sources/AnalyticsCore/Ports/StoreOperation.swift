/// The operations of the store's ports, as named in metrics and errors.
public enum StoreOperation: String, PortOperation {
    case prepare
    case checkHealth = "check_health"
    case identity
    case proofKey = "proof_key"
    case insert
    case event
    case events
    case scanEvents = "scan_events"
    case addReports = "add_reports"
    case reports
    case segmentHeads = "segment_heads"
    case segmentRevisions = "segment_revisions"
    case writeSegmentHead = "write_segment_head"
    case segmentBlobs = "segment_blobs"
    case writeSegmentBlobs = "write_segment_blobs"
    case deleteSegments = "delete_segments"
    case versions
    case mark
    case generation
    case dirtyBuckets = "dirty_buckets"
    case rollups
    case histories
    case minuteStamp = "minute_stamp"
    case countEvents = "count_events"
    case roll
    case fillReceived = "fill_received"
    case unmark
    case extent
    case projects
    case projectRecords = "project_records"
    case newestRecords = "newest_records"
    case createRecord = "create_record"
    case setRetention = "set_retention"
    case setTimeZone = "set_time_zone"
    case setProperties = "set_properties"
    case setVisitorIds = "set_visitor_ids"
    case createProject = "create_project"
    case setTitle = "set_title"
    case setArchived = "set_archived"
    case setOrigins = "set_origins"
    case setRates = "set_rates"
    case createKey = "create_key"
    case key
    case keys
    case revokeKey = "revoke_key"
    case expireKey = "expire_key"
    case removeKeys = "remove_keys"
    case recordKeyUses = "record_key_uses"
    case closeAnonymousAccess = "close_anonymous_access"
    case anonymousAccess = "anonymous_access"
    case record
    case records
    case writeRecord = "write_record"
    case removeRecords = "remove_records"
    case removeExpiredRecords = "remove_expired_records"
    case visitorSecret = "visitor_secret"
    case close
    case raiseWatermark = "raise_watermark"
    case deleteExpired = "delete_expired"
    case erasures
    case newestErasures = "newest_erasures"
    case writeErasure = "write_erasure"
    case announceErasure = "announce_erasure"
    case remove
    case overwriteDeleted = "overwrite_deleted"
    case beginAttempt = "begin_attempt"
    case forgetAttempts = "forget_attempts"
    case writePipeline = "write_pipeline"
    case pipelineCells = "pipeline_cells"

    package static let durations = MetricCatalogue.metrics.storeOperationDuration
    package static let errors = MetricCatalogue.metrics.storeErrors
}
