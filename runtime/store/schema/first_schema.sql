CREATE TABLE artifacts (
  job VARCHAR NOT NULL,
  attempt INTEGER NOT NULL,
  content BLOB NOT NULL,
  CONSTRAINT pk_artifacts PRIMARY KEY (job, attempt)
);
CREATE TABLE audit (
  seq INTEGER NOT NULL,
  at DATETIME NOT NULL,
  who VARCHAR NOT NULL,
  action VARCHAR NOT NULL,
  subject VARCHAR NOT NULL,
  details JSON NOT NULL,
  digest VARCHAR NOT NULL,
  CONSTRAINT pk_audit PRIMARY KEY (seq),
  CONSTRAINT uq_audit_digest UNIQUE (digest)
);
CREATE TABLE audit_heads (
  number INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  digest VARCHAR NOT NULL,
  at DATETIME NOT NULL,
  key_id VARCHAR NOT NULL,
  signature VARCHAR NOT NULL,
  CONSTRAINT pk_audit_heads PRIMARY KEY (number)
);
CREATE TABLE batches (
  owner VARCHAR NOT NULL,
  name VARCHAR NOT NULL,
  id VARCHAR NOT NULL,
  note VARCHAR NOT NULL,
  webhook VARCHAR,
  at DATETIME NOT NULL,
  sealed_at DATETIME,
  ended_at DATETIME,
  CONSTRAINT pk_batches PRIMARY KEY (owner, name),
  CONSTRAINT uq_batches_id UNIQUE (id)
);
CREATE INDEX ix_batches_ended_at ON batches (ended_at, sealed_at);
CREATE TABLE bulk_operations (
  id VARCHAR NOT NULL,
  act VARCHAR NOT NULL,
  wanted JSON NOT NULL,
  who VARCHAR NOT NULL,
  reason VARCHAR NOT NULL,
  owner VARCHAR,
  packages JSON NOT NULL,
  state VARCHAR NOT NULL,
  matched INTEGER NOT NULL,
  done INTEGER NOT NULL,
  left_alone INTEGER NOT NULL,
  place VARCHAR NOT NULL,
  waits_for VARCHAR NOT NULL,
  at DATETIME NOT NULL,
  finished_at DATETIME,
  CONSTRAINT pk_bulk_operations PRIMARY KEY (id)
);
CREATE INDEX ix_bulk_operations_state ON bulk_operations (state);
CREATE TABLE cluster (
  id INTEGER NOT NULL,
  docket VARCHAR NOT NULL,
  docket_name VARCHAR NOT NULL,
  blobs VARCHAR NOT NULL,
  CONSTRAINT pk_cluster PRIMARY KEY (id)
);
CREATE TABLE counters (
  name VARCHAR NOT NULL,
  value BIGINT NOT NULL,
  CONSTRAINT pk_counters PRIMARY KEY (name)
);
CREATE TABLE deliveries (
  id VARCHAR NOT NULL,
  place VARCHAR NOT NULL,
  kind VARCHAR NOT NULL,
  owner VARCHAR NOT NULL,
  package VARCHAR NOT NULL,
  job_id VARCHAR,
  url VARCHAR NOT NULL,
  host VARCHAR NOT NULL,
  body VARCHAR NOT NULL,
  state VARCHAR NOT NULL,
  tries INTEGER NOT NULL,
  due_at DATETIME NOT NULL,
  status INTEGER,
  error VARCHAR NOT NULL,
  at DATETIME NOT NULL,
  ended_at DATETIME,
  CONSTRAINT pk_deliveries PRIMARY KEY (id),
  CONSTRAINT uq_deliveries_place UNIQUE (place)
);
CREATE INDEX ix_deliveries_ended_at ON deliveries (ended_at);
CREATE INDEX ix_deliveries_job_id ON deliveries (job_id);
CREATE INDEX ix_deliveries_state ON deliveries (state, host, due_at);
CREATE TABLE former_jobs (
  id VARCHAR NOT NULL,
  package VARCHAR NOT NULL,
  version VARCHAR NOT NULL,
  owner VARCHAR NOT NULL,
  state VARCHAR NOT NULL,
  attempt INTEGER NOT NULL,
  submitted_at DATETIME NOT NULL,
  finished_at DATETIME,
  gone_at DATETIME NOT NULL,
  CONSTRAINT pk_former_jobs PRIMARY KEY (id)
);
CREATE TABLE freed (
  kind VARCHAR NOT NULL,
  number BIGINT NOT NULL,
  size_bytes BIGINT NOT NULL,
  CONSTRAINT pk_freed PRIMARY KEY (kind)
);
CREATE TABLE gate (
  id INTEGER NOT NULL,
  is_open BOOLEAN NOT NULL,
  until DATETIME,
  reason VARCHAR NOT NULL,
  who VARCHAR NOT NULL,
  packages JSON NOT NULL,
  changed_at DATETIME NOT NULL,
  CONSTRAINT pk_gate PRIMARY KEY (id)
);
CREATE TABLE job_endings (
  package VARCHAR NOT NULL,
  state VARCHAR NOT NULL,
  value BIGINT NOT NULL,
  CONSTRAINT pk_job_endings PRIMARY KEY (package, state)
);
CREATE TABLE packages (
  name VARCHAR NOT NULL,
  created_at DATETIME NOT NULL,
  active_version VARCHAR,
  active_activation_id VARCHAR,
  CONSTRAINT pk_packages PRIMARY KEY (name)
);
CREATE INDEX ix_packages_created_at ON packages (created_at, name);
CREATE TABLE pauses (
  subject VARCHAR NOT NULL,
  who VARCHAR NOT NULL,
  reason VARCHAR NOT NULL,
  at DATETIME NOT NULL,
  until DATETIME,
  CONSTRAINT pk_pauses PRIMARY KEY (subject)
);
CREATE TABLE policies (
  name VARCHAR NOT NULL,
  policy JSON NOT NULL,
  who VARCHAR NOT NULL,
  at DATETIME NOT NULL,
  CONSTRAINT pk_policies PRIMARY KEY (name)
);
CREATE TABLE presets (
  owner VARCHAR NOT NULL,
  name VARCHAR NOT NULL,
  wanted JSON NOT NULL,
  at DATETIME NOT NULL,
  CONSTRAINT pk_presets PRIMARY KEY (owner, name)
);
CREATE TABLE rates (
  "key" VARCHAR NOT NULL,
  next_at DATETIME NOT NULL,
  CONSTRAINT pk_rates PRIMARY KEY ("key")
);
CREATE INDEX ix_rates_next_at ON rates (next_at);
CREATE TABLE schedules (
  id VARCHAR NOT NULL,
  name VARCHAR NOT NULL,
  owner VARCHAR NOT NULL,
  package VARCHAR NOT NULL,
  version VARCHAR,
  parameters JSON NOT NULL,
  inputs JSON NOT NULL,
  request JSON NOT NULL,
  priority INTEGER DEFAULT '0' NOT NULL,
  retry JSON,
  cron VARCHAR NOT NULL,
  every_s INTEGER,
  zone VARCHAR NOT NULL,
  missed VARCHAR NOT NULL,
  overlap VARCHAR NOT NULL,
  created_at DATETIME NOT NULL,
  next_at DATETIME,
  last_job_id VARCHAR,
  CONSTRAINT pk_schedules PRIMARY KEY (id),
  CONSTRAINT uq_schedules_owner UNIQUE (owner, name)
);
CREATE INDEX ix_schedules_next_at ON schedules (next_at);
CREATE TABLE tokens (
  id VARCHAR NOT NULL,
  name VARCHAR NOT NULL,
  digest VARCHAR NOT NULL,
  former_digest VARCHAR,
  former_until DATETIME,
  note VARCHAR NOT NULL,
  scopes JSON NOT NULL,
  packages JSON NOT NULL,
  created_at DATETIME NOT NULL,
  created_by VARCHAR NOT NULL,
  expires_at DATETIME,
  revoked_at DATETIME,
  rotated_at DATETIME,
  used_at DATETIME,
  used_from VARCHAR NOT NULL,
  requests_per_minute INTEGER,
  CONSTRAINT pk_tokens PRIMARY KEY (id),
  CONSTRAINT uq_tokens_name UNIQUE (name),
  CONSTRAINT uq_tokens_digest UNIQUE (digest)
);
CREATE INDEX ix_tokens_former_digest ON tokens (former_digest);
CREATE TABLE totals (
  name VARCHAR NOT NULL,
  labels VARCHAR NOT NULL,
  value FLOAT NOT NULL,
  CONSTRAINT pk_totals PRIMARY KEY (name, labels)
);
CREATE TABLE webhooks (
  id VARCHAR NOT NULL,
  owner VARCHAR NOT NULL,
  url VARCHAR NOT NULL,
  package VARCHAR NOT NULL,
  states JSON NOT NULL,
  at DATETIME NOT NULL,
  sees_all BOOLEAN NOT NULL,
  packages JSON NOT NULL,
  CONSTRAINT pk_webhooks PRIMARY KEY (id)
);
CREATE TABLE workers (
  id VARCHAR NOT NULL,
  host VARCHAR NOT NULL,
  version VARCHAR NOT NULL,
  slots INTEGER NOT NULL,
  started_at DATETIME NOT NULL,
  seen_at DATETIME NOT NULL,
  platform VARCHAR DEFAULT '' NOT NULL,
  drained_at DATETIME,
  drained_by VARCHAR DEFAULT '' NOT NULL,
  offers VARCHAR DEFAULT '' NOT NULL,
  level VARCHAR DEFAULT '' NOT NULL,
  serves VARCHAR DEFAULT '' NOT NULL,
  reading JSON,
  CONSTRAINT pk_workers PRIMARY KEY (id)
);
CREATE TABLE sessions (
  id VARCHAR NOT NULL,
  digest VARCHAR NOT NULL,
  principal VARCHAR NOT NULL,
  token_id VARCHAR,
  started_at DATETIME NOT NULL,
  seen_at DATETIME NOT NULL,
  expires_at DATETIME NOT NULL,
  source VARCHAR NOT NULL,
  agent VARCHAR NOT NULL,
  scopes JSON,
  CONSTRAINT pk_sessions PRIMARY KEY (id),
  CONSTRAINT uq_sessions_digest UNIQUE (digest),
  CONSTRAINT fk_sessions_token_id FOREIGN KEY(token_id) REFERENCES tokens (id)
);
CREATE INDEX ix_sessions_token_id ON sessions (token_id);
CREATE TABLE ticks (
  schedule_id VARCHAR NOT NULL,
  at DATETIME NOT NULL,
  outcome VARCHAR NOT NULL,
  job_id VARCHAR,
  told VARCHAR NOT NULL,
  noted_at DATETIME NOT NULL,
  CONSTRAINT pk_ticks PRIMARY KEY (schedule_id, at),
  CONSTRAINT fk_ticks_schedule_id FOREIGN KEY(schedule_id) REFERENCES schedules (id) ON DELETE CASCADE
);
CREATE INDEX ix_ticks_noted_at ON ticks (noted_at);
CREATE TABLE versions (
  package VARCHAR NOT NULL,
  version VARCHAR NOT NULL,
  digest VARCHAR NOT NULL,
  size_bytes BIGINT NOT NULL,
  title VARCHAR NOT NULL,
  manifest JSON NOT NULL,
  requirements JSON NOT NULL,
  uploaded_at DATETIME NOT NULL,
  uploaded_by VARCHAR NOT NULL,
  CONSTRAINT pk_versions PRIMARY KEY (package, version),
  CONSTRAINT fk_versions_package FOREIGN KEY(package) REFERENCES packages (name)
);
CREATE TABLE activations (
  id VARCHAR NOT NULL,
  package VARCHAR NOT NULL,
  version VARCHAR NOT NULL,
  digest VARCHAR NOT NULL,
  state VARCHAR NOT NULL,
  who VARCHAR NOT NULL,
  reason VARCHAR NOT NULL,
  requested_at DATETIME NOT NULL,
  started_at DATETIME,
  finished_at DATETIME,
  worker VARCHAR,
  problems JSON NOT NULL,
  traceback TEXT NOT NULL,
  log JSON NOT NULL,
  prepared JSON,
  tries INTEGER DEFAULT '0' NOT NULL,
  CONSTRAINT pk_activations PRIMARY KEY (id),
  CONSTRAINT fk_activations_package FOREIGN KEY(package, version) REFERENCES versions (package, version)
);
CREATE INDEX ix_activations_package ON activations (package, version, finished_at);
CREATE INDEX ix_activations_state ON activations (state);
CREATE TABLE jobs (
  id VARCHAR NOT NULL,
  package VARCHAR NOT NULL,
  version VARCHAR NOT NULL,
  digest VARCHAR NOT NULL,
  activation_id VARCHAR NOT NULL,
  state VARCHAR NOT NULL,
  attempt INTEGER NOT NULL,
  token VARCHAR,
  worker VARCHAR,
  parameters JSON NOT NULL,
  inputs JSON NOT NULL,
  request JSON NOT NULL,
  owner VARCHAR DEFAULT '' NOT NULL,
  platform VARCHAR DEFAULT '' NOT NULL,
  submitted_at DATETIME NOT NULL,
  queued_at DATETIME NOT NULL,
  due_at DATETIME NOT NULL,
  turn BIGINT DEFAULT '0' NOT NULL,
  started_at DATETIME,
  finished_at DATETIME,
  cancel_requested_at DATETIME,
  progress JSON,
  error JSON,
  labels JSON DEFAULT '{}' NOT NULL,
  batch VARCHAR,
  error_code VARCHAR,
  webhook VARCHAR,
  told_attempt INTEGER,
  inputs_gone_at DATETIME,
  outputs_gone_at DATETIME,
  events_gone_at DATETIME,
  claimed_turn BIGINT DEFAULT '0' NOT NULL,
  priority INTEGER DEFAULT '0' NOT NULL,
  due_why VARCHAR DEFAULT '' NOT NULL,
  expires_at DATETIME,
  held_by VARCHAR,
  retry JSON,
  counted_from INTEGER DEFAULT '1' NOT NULL,
  slot_key VARCHAR,
  slot_most INTEGER,
  rate_key VARCHAR,
  rate_between_s FLOAT,
  unique_key VARCHAR,
  schedule_id VARCHAR,
  needs VARCHAR DEFAULT '' NOT NULL,
  CONSTRAINT pk_jobs PRIMARY KEY (id),
  CONSTRAINT fk_jobs_activation_id FOREIGN KEY(activation_id) REFERENCES activations (id)
);
CREATE INDEX ix_jobs_batch ON jobs (batch, id) WHERE batch IS NOT NULL;
CREATE INDEX ix_jobs_batch_state ON jobs (batch, state) WHERE batch IS NOT NULL;
CREATE INDEX ix_jobs_error_code ON jobs (error_code, id) WHERE error_code IS NOT NULL;
CREATE INDEX ix_jobs_expires_at ON jobs (state, expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX ix_jobs_finished_at ON jobs (finished_at, id) WHERE finished_at IS NOT NULL;
CREATE INDEX ix_jobs_held_by ON jobs (held_by, turn, id) WHERE held_by IS NOT NULL;
CREATE INDEX ix_jobs_line ON jobs (package, owner, priority, state, turn);
CREATE INDEX ix_jobs_owner ON jobs (owner, id);
CREATE INDEX ix_jobs_owner_state ON jobs (owner, state, id);
CREATE INDEX ix_jobs_package ON jobs (package, id);
CREATE INDEX ix_jobs_package_state ON jobs (package, state, id);
CREATE INDEX ix_jobs_rate_key ON jobs (rate_key, state, held_by) WHERE rate_key IS NOT NULL;
CREATE INDEX ix_jobs_slot_key ON jobs (slot_key, state, held_by) WHERE slot_key IS NOT NULL;
CREATE INDEX ix_jobs_state ON jobs (state, id);
CREATE INDEX ix_jobs_turn ON jobs (state, turn, id);
CREATE INDEX ix_jobs_unique_key ON jobs (unique_key, state) WHERE unique_key IS NOT NULL;
CREATE INDEX ix_jobs_untold ON jobs (id) WHERE told_attempt IS NOT NULL AND finished_at IS NOT NULL AND told_attempt < attempt;
CREATE INDEX ix_jobs_version ON jobs (package, version, id);
CREATE INDEX ix_jobs_worker ON jobs (worker, id) WHERE worker IS NOT NULL;
CREATE TABLE attempts (
  job_id VARCHAR NOT NULL,
  number INTEGER NOT NULL,
  state VARCHAR NOT NULL,
  token VARCHAR,
  worker VARCHAR,
  queued_at DATETIME NOT NULL,
  started_at DATETIME,
  finished_at DATETIME,
  error JSON,
  artifact_digest VARCHAR,
  is_partial BOOLEAN NOT NULL,
  CONSTRAINT pk_attempts PRIMARY KEY (job_id, number),
  CONSTRAINT fk_attempts_job_id FOREIGN KEY(job_id) REFERENCES jobs (id)
);
CREATE INDEX ix_attempts_started_at ON attempts (started_at);
CREATE TABLE dead_letters (
  job_id VARCHAR NOT NULL,
  at DATETIME NOT NULL,
  code VARCHAR NOT NULL,
  phase VARCHAR NOT NULL,
  attempts INTEGER NOT NULL,
  CONSTRAINT pk_dead_letters PRIMARY KEY (job_id),
  CONSTRAINT fk_dead_letters_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
CREATE TABLE events (
  job VARCHAR NOT NULL,
  seq INTEGER NOT NULL,
  at DATETIME NOT NULL,
  attempt INTEGER NOT NULL,
  event VARCHAR NOT NULL,
  data JSON NOT NULL,
  CONSTRAINT pk_events PRIMARY KEY (job, seq),
  CONSTRAINT fk_events_job FOREIGN KEY(job) REFERENCES jobs (id)
);
CREATE TABLE input_blobs (
  sha256 VARCHAR NOT NULL,
  job_id VARCHAR NOT NULL,
  size_bytes BIGINT NOT NULL,
  CONSTRAINT pk_input_blobs PRIMARY KEY (sha256, job_id),
  CONSTRAINT fk_input_blobs_job_id FOREIGN KEY(job_id) REFERENCES jobs (id)
);
CREATE INDEX ix_input_blobs_job_id ON input_blobs (job_id);
CREATE TABLE job_labels (
  job_id VARCHAR NOT NULL,
  name VARCHAR NOT NULL,
  value VARCHAR NOT NULL,
  CONSTRAINT pk_job_labels PRIMARY KEY (job_id, name),
  CONSTRAINT fk_job_labels_job_id FOREIGN KEY(job_id) REFERENCES jobs (id)
);
CREATE INDEX ix_job_labels_name ON job_labels (name, value, job_id);
CREATE TABLE pins (
  job_id VARCHAR NOT NULL,
  who VARCHAR NOT NULL,
  reason VARCHAR NOT NULL,
  at DATETIME NOT NULL,
  CONSTRAINT pk_pins PRIMARY KEY (job_id),
  CONSTRAINT fk_pins_job_id FOREIGN KEY(job_id) REFERENCES jobs (id)
);
CREATE TABLE questions (
  job_id VARCHAR NOT NULL,
  "key" VARCHAR NOT NULL,
  attempt INTEGER NOT NULL,
  prompt VARCHAR NOT NULL,
  schema JSON NOT NULL,
  fallback JSON,
  asked_at DATETIME NOT NULL,
  expires_at DATETIME,
  answered_at DATETIME,
  answered_by VARCHAR NOT NULL,
  answer JSON,
  CONSTRAINT pk_questions PRIMARY KEY (job_id, "key"),
  CONSTRAINT fk_questions_job_id FOREIGN KEY(job_id) REFERENCES jobs (id)
);
CREATE INDEX ix_questions_expires_at ON questions (answered_at, expires_at);
CREATE TABLE submissions (
  principal VARCHAR NOT NULL,
  "key" VARCHAR NOT NULL,
  fingerprint VARCHAR NOT NULL,
  job_id VARCHAR NOT NULL,
  at DATETIME NOT NULL,
  CONSTRAINT pk_submissions PRIMARY KEY (principal, "key"),
  CONSTRAINT fk_submissions_job_id FOREIGN KEY(job_id) REFERENCES jobs (id)
);
CREATE INDEX ix_submissions_at ON submissions (at);
CREATE TABLE outputs (
  job_id VARCHAR NOT NULL,
  attempt INTEGER NOT NULL,
  path VARCHAR NOT NULL,
  size_bytes BIGINT NOT NULL,
  sha256 VARCHAR NOT NULL,
  media_type VARCHAR NOT NULL,
  CONSTRAINT pk_outputs PRIMARY KEY (job_id, attempt, path),
  CONSTRAINT fk_outputs_job_id FOREIGN KEY(job_id, attempt) REFERENCES attempts (job_id, number)
);
CREATE INDEX ix_outputs_sha256 ON outputs (sha256);
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
INSERT INTO counters (name, value) VALUES ('jobs-queued', 0);
INSERT INTO counters (name, value) VALUES ('jobs-succeeded', 0);
INSERT INTO counters (name, value) VALUES ('jobs-failed', 0);
INSERT INTO counters (name, value) VALUES ('jobs-cancelled', 0);
INSERT INTO totals (name, labels, value) VALUES ('gate_fetches', '{}', 0)
