-- Which tools a job may use, and the evidence of each call: intended before, settled once after

ALTER TABLE job ADD COLUMN tools BLOB;

CREATE TABLE tool_call (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    job_id TEXT NOT NULL REFERENCES job (id),
    item_id TEXT NOT NULL,
    made_by TEXT NOT NULL,
    tool TEXT NOT NULL,
    version TEXT NOT NULL,
    arguments_sha256 TEXT NOT NULL,
    approval TEXT NOT NULL,
    approval_id TEXT,
    intended_at_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT,
    settled_at_ms INTEGER,
    dialled TEXT,
    result_sha256 TEXT,
    result_bytes INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX tool_call_of_tenant ON tool_call (tenant, id);
CREATE INDEX tool_call_open ON tool_call (outcome, id) WHERE outcome IN ('intended', 'unknown');

CREATE TRIGGER tool_call_kept BEFORE UPDATE ON tool_call
WHEN OLD.outcome IS NOT 'intended' OR NEW.outcome IS 'intended' OR NEW.settled_at_ms IS NULL
    OR NEW.id IS NOT OLD.id OR NEW.tenant IS NOT OLD.tenant OR NEW.user IS NOT OLD.user
    OR NEW.job_id IS NOT OLD.job_id OR NEW.item_id IS NOT OLD.item_id
    OR NEW.made_by IS NOT OLD.made_by OR NEW.tool IS NOT OLD.tool
    OR NEW.version IS NOT OLD.version OR NEW.arguments_sha256 IS NOT OLD.arguments_sha256
    OR NEW.approval IS NOT OLD.approval OR NEW.approval_id IS NOT OLD.approval_id
    OR NEW.intended_at_ms IS NOT OLD.intended_at_ms
BEGIN SELECT RAISE(ABORT, 'a tool call is settled once and changes in nothing else'); END;

CREATE TRIGGER tool_call_stays BEFORE DELETE ON tool_call
BEGIN SELECT RAISE(ABORT, 'evidence of a tool call never leaves'); END;
