-- The commission schema. Every client-owned table has client_id first in its key and composite foreign keys, so that a
-- row of one client cannot point at a row of another even where row security does not apply.
-- Money, quantities and rates are plain numeric (never float) and keep the scale they were written with; six decimals
-- are more than any ISO 4217 currency has. Ranges of dates are half-open, [from, to). No number is drawn from a sequence
-- that clients share: its gaps would tell one client what the others do.

-- Shared by all clients --------------------------------------------------------------------------------------------

CREATE TABLE cm.currency (
  code text PRIMARY KEY CHECK (code ~ '^[A-Z]{3}$'),
  name text NOT NULL,
  minor_units int NOT NULL CHECK (minor_units BETWEEN 0 AND 4)
);

CREATE TABLE cm.region_default (
  region text PRIMARY KEY,
  currency text NOT NULL REFERENCES cm.currency,
  compliance_level text NOT NULL DEFAULT 'standard'
);

-- Clients and their people -----------------------------------------------------------------------------------------

CREATE TABLE cm.client (
  client_id text PRIMARY KEY CHECK (client_id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  name text NOT NULL CHECK (name <> ''),
  base_currency text NOT NULL REFERENCES cm.currency,
  time_zone text NOT NULL DEFAULT 'UTC',
  fiscal_year_start_month int NOT NULL DEFAULT 1 CHECK (fiscal_year_start_month BETWEEN 1 AND 12),
  active boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE cm.client_profile (
  client_id text PRIMARY KEY REFERENCES cm.client,
  region text REFERENCES cm.region_default,
  tier text NOT NULL DEFAULT 'standard' CHECK (tier IN ('standard', 'premium', 'enterprise')),
  commission_model text NOT NULL DEFAULT 'tiered' CHECK (commission_model IN ('flat', 'slab', 'tiered')),
  compliance_level text NOT NULL DEFAULT 'standard' CHECK (compliance_level <> ''),
  backend jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE cm.override_key (
  client_id text NOT NULL REFERENCES cm.client,
  override_key text NOT NULL CHECK (override_key ~ '^[a-z0-9_]{1,40}$'),
  priority int NOT NULL CHECK (priority >= 0),
  multiplier numeric NOT NULL DEFAULT 1 CHECK (multiplier > 0 AND multiplier <= 10),
  PRIMARY KEY (client_id, override_key)
);

CREATE TABLE cm.approval_policy (
  client_id text NOT NULL REFERENCES cm.client,
  step text NOT NULL CHECK (step IN ('manager_approval', 'finance_review', 'compliance_check', 'payee_acknowledgement')),
  requirement text NOT NULL CHECK (requirement IN ('required', 'automatic_below', 'not_required')),
  automatic_below numeric CHECK (automatic_below >= 0),
  deciding_role text NOT NULL CHECK (deciding_role IN ('approver', 'finance', 'compliance', 'manager', 'payee', 'admin')),
  PRIMARY KEY (client_id, step),
  CHECK ((requirement = 'automatic_below') = (automatic_below IS NOT NULL))
);

CREATE TABLE cm.plan_template (
  client_id text NOT NULL REFERENCES cm.client,
  template text NOT NULL CHECK (template <> ''),
  description text NOT NULL DEFAULT '',
  definition jsonb NOT NULL CHECK (jsonb_typeof(definition) = 'object'),
  PRIMARY KEY (client_id, template)
);

CREATE TABLE cm.mask_rule (
  client_id text NOT NULL REFERENCES cm.client,
  column_name text NOT NULL CHECK (column_name ~ '^[a-z_]+\.[a-z_]+$'),
  masking_class text NOT NULL CHECK (masking_class IN ('masked', 'clear')),
  visible boolean NOT NULL,
  PRIMARY KEY (client_id, column_name, masking_class)
);

CREATE TABLE cm.app_user (
  client_id text NOT NULL REFERENCES cm.client,
  user_id text NOT NULL CHECK (user_id <> ''),
  issuer text NOT NULL,
  subject text NOT NULL,
  roles text[] NOT NULL CHECK (
    roles <@ ARRAY['payee', 'analyst', 'manager', 'plan_author', 'approver', 'finance', 'compliance', 'auditor', 'admin']),
  active boolean NOT NULL DEFAULT true,
  PRIMARY KEY (client_id, user_id),
  UNIQUE (client_id, issuer, subject)
);

CREATE TABLE cm.payee (
  client_id text NOT NULL REFERENCES cm.client,
  payee_id text NOT NULL CHECK (payee_id <> ''),
  user_id text,
  name text NOT NULL CHECK (name <> ''),
  email text,
  team text,
  job_role text,
  currency text NOT NULL REFERENCES cm.currency,
  hired_on date NOT NULL,
  left_on date CHECK (left_on >= hired_on),
  bank_account text,
  salary numeric CHECK (salary >= 0 AND scale(salary) <= 6),
  tax_id text,
  PRIMARY KEY (client_id, payee_id),
  FOREIGN KEY (client_id, user_id) REFERENCES cm.app_user
);

CREATE TABLE cm.reports_to (
  client_id text NOT NULL,
  payee_id text NOT NULL,
  manager_id text NOT NULL,
  valid daterange NOT NULL CHECK (NOT isempty(valid)),
  CHECK (payee_id <> manager_id),
  FOREIGN KEY (client_id, payee_id) REFERENCES cm.payee,
  FOREIGN KEY (client_id, manager_id) REFERENCES cm.payee (client_id, payee_id),
  EXCLUDE USING gist (client_id WITH =, payee_id WITH =, valid WITH &&)
);

-- Master data ------------------------------------------------------------------------------------------------------

CREATE TABLE cm.territory (
  client_id text NOT NULL REFERENCES cm.client,
  territory_id text NOT NULL CHECK (territory_id <> ''),
  parent_id text,
  name text NOT NULL CHECK (name <> ''),
  PRIMARY KEY (client_id, territory_id),
  UNIQUE (client_id, name),
  FOREIGN KEY (client_id, parent_id) REFERENCES cm.territory,
  CHECK (parent_id <> territory_id)
);

CREATE TABLE cm.product (
  client_id text NOT NULL REFERENCES cm.client,
  product_id text NOT NULL CHECK (product_id <> ''),
  parent_id text,
  name text NOT NULL CHECK (name <> ''),
  commissionable boolean NOT NULL DEFAULT true,
  PRIMARY KEY (client_id, product_id),
  UNIQUE (client_id, name),
  FOREIGN KEY (client_id, parent_id) REFERENCES cm.product,
  CHECK (parent_id <> product_id)
);

CREATE TABLE cm.uom (
  client_id text NOT NULL REFERENCES cm.client,
  uom text NOT NULL CHECK (uom <> ''),
  name text NOT NULL CHECK (name <> ''),
  PRIMARY KEY (client_id, uom)
);

CREATE TABLE cm.period (
  client_id text NOT NULL REFERENCES cm.client,
  period_id text NOT NULL CHECK (period_id <> ''),
  kind text NOT NULL CHECK (kind IN ('month', 'quarter', 'half', 'year', 'pay_cycle')),
  span daterange NOT NULL CHECK (NOT isempty(span) AND NOT lower_inf(span) AND NOT upper_inf(span)),
  status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'calculated', 'approved', 'paid', 'closed')),
  PRIMARY KEY (client_id, period_id),
  EXCLUDE USING gist (client_id WITH =, kind WITH =, span WITH &&)
);

CREATE TABLE cm.quota (
  client_id text NOT NULL,
  payee_id text NOT NULL,
  measure text NOT NULL CHECK (measure <> ''),
  span daterange NOT NULL CHECK (NOT isempty(span) AND NOT lower_inf(span) AND NOT upper_inf(span)),
  amount numeric NOT NULL CHECK (amount > 0 AND scale(amount) <= 6 AND amount < 1e14),
  currency text REFERENCES cm.currency,
  source_key text NOT NULL,
  UNIQUE (client_id, source_key),
  FOREIGN KEY (client_id, payee_id) REFERENCES cm.payee,
  EXCLUDE USING gist (client_id WITH =, payee_id WITH =, measure WITH =, span WITH &&)
);

CREATE TABLE cm.fx_rate (
  client_id text NOT NULL REFERENCES cm.client,
  from_currency text NOT NULL REFERENCES cm.currency,
  to_currency text NOT NULL REFERENCES cm.currency,
  span daterange NOT NULL CHECK (NOT isempty(span)),
  rate numeric NOT NULL CHECK (rate > 0 AND scale(rate) <= 12),
  CHECK (from_currency <> to_currency),
  EXCLUDE USING gist (client_id WITH =, from_currency WITH =, to_currency WITH =, span WITH &&)
);

-- Plans: identity and immutable versions ---------------------------------------------------------------------------

CREATE TABLE cm.plan (
  client_id text NOT NULL REFERENCES cm.client,
  plan_id text NOT NULL CHECK (plan_id <> ''),
  plan_name text NOT NULL CHECK (plan_name = btrim(plan_name) AND char_length(plan_name) BETWEEN 1 AND 200),
  withdrawn boolean NOT NULL DEFAULT false,
  PRIMARY KEY (client_id, plan_id)
);
CREATE UNIQUE INDEX plan_name_once ON cm.plan (client_id, lower(plan_name)) WHERE NOT withdrawn;

CREATE TABLE cm.plan_version (
  client_id text NOT NULL,
  plan_id text NOT NULL,
  version int NOT NULL CHECK (version > 0),
  status text NOT NULL CHECK (status IN ('draft', 'submitted', 'approved', 'active', 'superseded', 'withdrawn')),
  description text NOT NULL DEFAULT '' CHECK (char_length(description) <= 4000),
  valid daterange NOT NULL CHECK (NOT isempty(valid) AND NOT lower_inf(valid)),
  assignee_type text NOT NULL CHECK (assignee_type IN ('Payee', 'Role', 'Territory', 'Product', 'Team')),
  object_type text NOT NULL DEFAULT 'Invoices' CHECK (object_type IN ('Invoices', 'Contracts', 'Sales Orders')),
  calculation_schedule text NOT NULL CHECK (calculation_schedule IN
    ('Per Transaction', 'Daily', 'Weekly', 'Monthly', 'Quarterly', 'Half-Yearly', 'Yearly')),
  payment_schedule text NOT NULL CHECK (payment_schedule IN ('Daily', 'Weekly', 'Monthly', 'Quarterly', 'Half-Yearly', 'Yearly')),
  currency text NOT NULL REFERENCES cm.currency,
  definition jsonb NOT NULL CHECK (jsonb_typeof(definition) = 'object'),
  definition_sha256 bytea NOT NULL CHECK (length(definition_sha256) = 32),
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (client_id, plan_id, version),
  FOREIGN KEY (client_id, plan_id) REFERENCES cm.plan,
  FOREIGN KEY (client_id, created_by) REFERENCES cm.app_user (client_id, user_id),
  EXCLUDE USING gist (client_id WITH =, plan_id WITH =, valid WITH &&) WHERE (status IN ('approved', 'active'))
);

CREATE TABLE cm.plan_rule (
  client_id text NOT NULL,
  plan_id text NOT NULL,
  version int NOT NULL,
  rule_no int NOT NULL CHECK (rule_no BETWEEN 1 AND 20),
  plan_type text NOT NULL CHECK (plan_type IN ('Revenue Target', 'Margin Target', 'Units Target', 'Bookings Target', 'Bonus')),
  category_type text NOT NULL CHECK (category_type IN ('Flat', 'Slab', 'Tiered', 'Interpolated')),
  range_type text CHECK (range_type IN ('Amount', 'Quantity', 'Percentage of Quota')),
  value_type text NOT NULL CHECK (value_type IN ('Percentage', 'Fixed Amount')),
  fixed_basis text CHECK (fixed_basis IN ('per_transaction', 'per_unit', 'per_period')),
  base_value text NOT NULL CHECK (base_value IN ('Gross Revenue', 'Net Revenue', 'Margin', 'Bookings', 'Cash Collected', 'Units')),
  accumulation text NOT NULL CHECK (accumulation IN ('transaction', 'calculation_period', 'quarter', 'year', 'plan')),
  boundary text NOT NULL DEFAULT 'upper_inclusive' CHECK (boundary IN ('upper_inclusive', 'lower_inclusive')),
  cap numeric CHECK (cap >= 0),
  floor numeric CHECK (floor >= 0),
  threshold numeric CHECK (threshold >= 0),
  draw numeric CHECK (draw >= 0),
  draw_recoverable boolean,
  premium_threshold numeric CHECK (premium_threshold >= 0),
  multiplier numeric CHECK (multiplier > 0),
  cap_range boolean NOT NULL DEFAULT false,
  PRIMARY KEY (client_id, plan_id, version, rule_no),
  FOREIGN KEY (client_id, plan_id, version) REFERENCES cm.plan_version,
  CHECK ((value_type = 'Fixed Amount') = (fixed_basis IS NOT NULL)),
  CHECK ((category_type = 'Flat') = (range_type IS NULL)),
  CHECK (cap IS NULL OR floor IS NULL OR floor <= cap),
  CHECK ((draw IS NULL) = (draw_recoverable IS NULL)),
  CHECK ((premium_threshold IS NULL) = (multiplier IS NULL))
);

CREATE TABLE cm.tier (
  client_id text NOT NULL,
  plan_id text NOT NULL,
  version int NOT NULL,
  rule_no int NOT NULL,
  band numrange NOT NULL CHECK (NOT isempty(band) AND NOT lower_inf(band) AND lower(band) >= 0),
  commission numeric NOT NULL CHECK (commission >= 0 AND scale(commission) <= 8),
  PRIMARY KEY (client_id, plan_id, version, rule_no, band),
  FOREIGN KEY (client_id, plan_id, version, rule_no) REFERENCES cm.plan_rule ON DELETE CASCADE,
  EXCLUDE USING gist (client_id WITH =, plan_id WITH =, version WITH =, rule_no WITH =, band WITH &&)
);

-- All bands of a rule are written in one statement; after it they start at 0 and leave no gap.
CREATE FUNCTION cm.check_bands() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  wrong record;
BEGIN
  SELECT b.plan_id, b.rule_no, b.band INTO wrong
  FROM (
    SELECT t.client_id, t.plan_id, t.version, t.rule_no, t.band, r.cap_range,
           lag(t.band) OVER rule AS before, lead(t.band) OVER rule AS after
    FROM cm.tier t
    JOIN cm.plan_rule r USING (client_id, plan_id, version, rule_no)
    WHERE (t.client_id, t.plan_id, t.version, t.rule_no) IN (
      SELECT DISTINCT c.client_id, c.plan_id, c.version, c.rule_no FROM changed c)
    WINDOW rule AS (PARTITION BY t.client_id, t.plan_id, t.version, t.rule_no ORDER BY t.band)
  ) b
  WHERE (b.before IS NULL AND lower(b.band) <> 0)
     OR (b.before IS NOT NULL AND NOT b.before -|- b.band)
     OR (b.after IS NULL AND NOT upper_inf(b.band) AND NOT b.cap_range)
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'bands of plan % rule % do not run from 0 without a gap to an open end, see %',
      wrong.plan_id, wrong.rule_no, wrong.band USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER bands_on_insert AFTER INSERT ON cm.tier REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION cm.check_bands();
CREATE TRIGGER bands_on_update AFTER UPDATE ON cm.tier REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION cm.check_bands();
CREATE TRIGGER bands_on_delete AFTER DELETE ON cm.tier REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION cm.check_bands();

CREATE TABLE cm.assignment (
  client_id text NOT NULL,
  assignment_id uuid NOT NULL DEFAULT gen_random_uuid(),
  plan_id text NOT NULL,
  version int NOT NULL,
  payee_id text,
  territory_id text,
  product_id text,
  team text,
  job_role text,
  customer text,
  plant text,
  customer_group text,
  override_key text,
  priority int NOT NULL DEFAULT 100,
  valid daterange NOT NULL CHECK (NOT isempty(valid)),
  PRIMARY KEY (client_id, assignment_id),
  CHECK (num_nonnulls(payee_id, territory_id, product_id, team, job_role, customer, plant, customer_group) >= 1),
  FOREIGN KEY (client_id, plan_id, version) REFERENCES cm.plan_version,
  FOREIGN KEY (client_id, payee_id) REFERENCES cm.payee,
  FOREIGN KEY (client_id, territory_id) REFERENCES cm.territory,
  FOREIGN KEY (client_id, product_id) REFERENCES cm.product,
  FOREIGN KEY (client_id, override_key) REFERENCES cm.override_key,
  EXCLUDE USING gist (
    client_id WITH =, plan_id WITH =, version WITH =, priority WITH =, valid WITH &&,
    coalesce(payee_id, '') WITH =, coalesce(territory_id, '') WITH =, coalesce(product_id, '') WITH =,
    coalesce(team, '') WITH =, coalesce(job_role, '') WITH =, coalesce(customer, '') WITH =,
    coalesce(plant, '') WITH =, coalesce(customer_group, '') WITH =)
);

CREATE TABLE cm.plan_draft (
  client_id text NOT NULL REFERENCES cm.client,
  draft_id uuid NOT NULL,
  issuer text NOT NULL,
  subject text NOT NULL,
  phase int NOT NULL CHECK (phase BETWEEN 1 AND 4),
  fields jsonb NOT NULL CHECK (jsonb_typeof(fields) = 'object'),
  plan_id text,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (client_id, draft_id),
  FOREIGN KEY (client_id, plan_id) REFERENCES cm.plan
);

-- Sales and who is credited with them ------------------------------------------------------------------------------

CREATE TABLE cm.sale (
  client_id text NOT NULL REFERENCES cm.client,
  sale_id text NOT NULL CHECK (sale_id <> ''),
  source_system text NOT NULL CHECK (source_system <> ''),
  source_key text NOT NULL CHECK (source_key <> ''),
  object_type text NOT NULL DEFAULT 'Invoices' CHECK (object_type IN ('Invoices', 'Contracts', 'Sales Orders')),
  reverses_sale_id text,
  sold_on date NOT NULL,
  territory_id text,
  product_id text,
  customer text,
  quantity numeric NOT NULL CHECK (scale(quantity) <= 6 AND abs(quantity) < 1e14),
  uom text,
  gross numeric NOT NULL CHECK (scale(gross) <= 6 AND abs(gross) < 1e14),
  net numeric NOT NULL CHECK (scale(net) <= 6 AND abs(net) < 1e14),
  cost numeric CHECK (scale(cost) <= 6 AND abs(cost) < 1e14),
  currency text NOT NULL REFERENCES cm.currency,
  PRIMARY KEY (client_id, sale_id),
  UNIQUE (client_id, source_system, source_key),
  FOREIGN KEY (client_id, reverses_sale_id) REFERENCES cm.sale,
  FOREIGN KEY (client_id, territory_id) REFERENCES cm.territory,
  FOREIGN KEY (client_id, product_id) REFERENCES cm.product,
  FOREIGN KEY (client_id, uom) REFERENCES cm.uom,
  CHECK (reverses_sale_id IS NULL OR gross <= 0)
);
CREATE INDEX sale_by_date ON cm.sale (client_id, sold_on);

CREATE TABLE cm.credit (
  client_id text NOT NULL,
  sale_id text NOT NULL,
  payee_id text NOT NULL,
  credit_role text NOT NULL CHECK (credit_role IN ('direct', 'split', 'overlay', 'override')),
  share numeric NOT NULL CHECK (share > 0 AND share <= 1 AND scale(share) <= 12),
  PRIMARY KEY (client_id, sale_id, payee_id, credit_role),
  FOREIGN KEY (client_id, sale_id) REFERENCES cm.sale,
  FOREIGN KEY (client_id, payee_id) REFERENCES cm.payee
);
CREATE INDEX credit_by_payee ON cm.credit (client_id, payee_id, sale_id);

-- All credits of a sale are written in one statement; after it the direct and split shares are exactly 1.
CREATE FUNCTION cm.check_shares() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  wrong record;
BEGIN
  -- The lateral sum keeps this one index look-up a sale; a join is planned badly while the tables have no statistics.
  SELECT s.sale_id, t.total INTO wrong
  FROM (SELECT DISTINCT c.client_id, c.sale_id FROM changed c) s
  CROSS JOIN LATERAL (
    SELECT sum(c.share) AS total FROM cm.credit c
    WHERE c.client_id = s.client_id AND c.sale_id = s.sale_id AND c.credit_role IN ('direct', 'split')
  ) t
  WHERE t.total <> 1
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'direct credits of sale % sum to %, not 1', wrong.sale_id, wrong.total USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER shares_on_insert AFTER INSERT ON cm.credit REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION cm.check_shares();
CREATE TRIGGER shares_on_update AFTER UPDATE ON cm.credit REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION cm.check_shares();
CREATE TRIGGER shares_on_delete AFTER DELETE ON cm.credit REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION cm.check_shares();

-- Results are append-only: a re-run is a new run that supersedes, a correction is a delta line ---------------------

CREATE TABLE cm.calc_run (
  client_id text NOT NULL,
  run_id uuid NOT NULL,
  period_id text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('official', 'prior_period_adjustment')),
  complete boolean NOT NULL DEFAULT true,
  supersedes uuid,
  engine_version text NOT NULL,
  inputs_sha256 bytea NOT NULL CHECK (length(inputs_sha256) = 32),
  started_by text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (client_id, run_id),
  FOREIGN KEY (client_id, period_id) REFERENCES cm.period,
  FOREIGN KEY (client_id, supersedes) REFERENCES cm.calc_run,
  FOREIGN KEY (client_id, started_by) REFERENCES cm.app_user (client_id, user_id)
);

CREATE TABLE cm.result_line (
  client_id text NOT NULL,
  run_id uuid NOT NULL,
  line_no int NOT NULL CHECK (line_no > 0),
  payee_id text NOT NULL,
  plan_id text NOT NULL,
  version int NOT NULL,
  rule_no int NOT NULL,
  sale_id text,
  tier_band numrange,
  base numeric NOT NULL,
  commission_rate numeric,
  amount_exact numeric NOT NULL,
  amount numeric NOT NULL CHECK (scale(amount) <= 4),
  currency text NOT NULL REFERENCES cm.currency,
  kind text NOT NULL CHECK (kind IN ('commission', 'bonus', 'override', 'cap', 'floor', 'draw_advance', 'draw_recovery',
    'clawback', 'adjustment', 'rounding')),
  explanation jsonb NOT NULL,
  PRIMARY KEY (client_id, run_id, line_no),
  FOREIGN KEY (client_id, run_id) REFERENCES cm.calc_run,
  FOREIGN KEY (client_id, payee_id) REFERENCES cm.payee,
  FOREIGN KEY (client_id, plan_id, version, rule_no) REFERENCES cm.plan_rule,
  FOREIGN KEY (client_id, sale_id) REFERENCES cm.sale
);
CREATE INDEX result_line_by_payee ON cm.result_line (client_id, payee_id);
CREATE INDEX result_line_by_sale ON cm.result_line (client_id, sale_id);

CREATE TABLE cm.payout (
  client_id text NOT NULL,
  payout_id uuid NOT NULL,
  payee_id text NOT NULL,
  period_id text NOT NULL,
  run_id uuid NOT NULL,
  amount numeric NOT NULL CHECK (amount >= 0 AND scale(amount) <= 4),
  carried_balance numeric NOT NULL DEFAULT 0 CHECK (carried_balance <= 0),
  currency text NOT NULL REFERENCES cm.currency,
  status text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'approved', 'held', 'paid', 'void')),
  PRIMARY KEY (client_id, payout_id),
  UNIQUE (client_id, payee_id, period_id, run_id, currency),
  FOREIGN KEY (client_id, payee_id) REFERENCES cm.payee,
  FOREIGN KEY (client_id, period_id) REFERENCES cm.period,
  FOREIGN KEY (client_id, run_id) REFERENCES cm.calc_run
);

CREATE FUNCTION cm.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON cm.calc_run
  FOR EACH STATEMENT EXECUTE FUNCTION cm.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON cm.result_line
  FOR EACH STATEMENT EXECUTE FUNCTION cm.refuse_change();

-- A version beyond 'draft' is immutable but for its status.
CREATE FUNCTION cm.keep_version() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  shown jsonb := to_jsonb(NEW) - 'status' - 'valid';
BEGIN
  IF OLD.status <> 'draft' AND (shown IS DISTINCT FROM to_jsonb(OLD) - 'status' - 'valid' OR NEW.status = 'draft') THEN
    RAISE EXCEPTION 'plan % version % is % and cannot be edited', OLD.plan_id, OLD.version, OLD.status
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER immutable BEFORE UPDATE ON cm.plan_version FOR EACH ROW EXECUTE FUNCTION cm.keep_version();

-- Decisions --------------------------------------------------------------------------------------------------------

CREATE TABLE cm.approval (
  client_id text NOT NULL,
  approval_id uuid NOT NULL DEFAULT gen_random_uuid(),
  subject_kind text NOT NULL CHECK (subject_kind IN ('plan_version', 'payout', 'adjustment')),
  subject_ref text NOT NULL,
  subject_sha256 bytea NOT NULL CHECK (length(subject_sha256) = 32),
  step text NOT NULL CHECK (step IN ('manager_approval', 'finance_review', 'compliance_check', 'payee_acknowledgement')),
  requested_by text NOT NULL,
  decided_by text,
  decision text NOT NULL DEFAULT 'pending' CHECK (decision IN ('pending', 'approved', 'rejected', 'automatic')),
  decided_at timestamptz,
  comment text,
  PRIMARY KEY (client_id, approval_id),
  UNIQUE (client_id, subject_kind, subject_ref, subject_sha256, step),
  FOREIGN KEY (client_id, requested_by) REFERENCES cm.app_user (client_id, user_id),
  FOREIGN KEY (client_id, decided_by) REFERENCES cm.app_user (client_id, user_id),
  CHECK (decided_by IS DISTINCT FROM requested_by),
  CHECK ((decision IN ('approved', 'rejected')) = (decided_by IS NOT NULL)),
  CHECK ((decision = 'pending') = (decided_at IS NULL))
);

CREATE TABLE cm.dispute (
  client_id text NOT NULL,
  dispute_id uuid NOT NULL DEFAULT gen_random_uuid(),
  payee_id text NOT NULL,
  run_id uuid NOT NULL,
  line_no int NOT NULL,
  reason text NOT NULL CHECK (reason <> ''),
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'accepted', 'rejected', 'withdrawn')),
  opened_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (client_id, dispute_id),
  FOREIGN KEY (client_id, run_id, line_no) REFERENCES cm.result_line,
  FOREIGN KEY (client_id, payee_id) REFERENCES cm.payee
);

-- Machinery --------------------------------------------------------------------------------------------------------

CREATE TABLE cm.outbox (
  client_id text NOT NULL REFERENCES cm.client,
  message_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind <> ''),
  payload jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  attempts int NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  next_attempt_at timestamptz,
  delivered_at timestamptz,
  last_failure text,
  PRIMARY KEY (client_id, message_id)
);
CREATE INDEX outbox_due ON cm.outbox (next_attempt_at) WHERE delivered_at IS NULL;

CREATE TABLE cm.job (
  client_id text NOT NULL REFERENCES cm.client,
  job_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind <> ''),
  state text NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
  progress numeric NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 1),
  detail jsonb NOT NULL DEFAULT '{}',
  started_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  PRIMARY KEY (client_id, job_id)
);

-- How often the rows of a client in a table have changed: what a page or a cached answer was made from.
CREATE TABLE cm.data_version (
  client_id text NOT NULL REFERENCES cm.client,
  relation text NOT NULL,
  version bigint NOT NULL DEFAULT 1,
  changed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (client_id, relation)
);

-- Reference data ---------------------------------------------------------------------------------------------------

INSERT INTO cm.currency (code, name, minor_units) VALUES
  ('AED', 'UAE dirham', 2), ('ARS', 'Argentine peso', 2), ('AUD', 'Australian dollar', 2), ('BGN', 'Bulgarian lev', 2),
  ('BHD', 'Bahraini dinar', 3), ('BRL', 'Brazilian real', 2), ('CAD', 'Canadian dollar', 2), ('CHF', 'Swiss franc', 2),
  ('CLF', 'Chilean unit of account', 4), ('CLP', 'Chilean peso', 0), ('CNY', 'Yuan renminbi', 2),
  ('COP', 'Colombian peso', 2), ('CZK', 'Czech koruna', 2), ('DKK', 'Danish krone', 2), ('EGP', 'Egyptian pound', 2),
  ('EUR', 'Euro', 2), ('GBP', 'Pound sterling', 2), ('HKD', 'Hong Kong dollar', 2), ('HUF', 'Forint', 2),
  ('IDR', 'Rupiah', 2), ('ILS', 'New Israeli sheqel', 2), ('INR', 'Indian rupee', 2), ('ISK', 'Iceland krona', 0),
  ('JOD', 'Jordanian dinar', 3), ('JPY', 'Yen', 0), ('KES', 'Kenyan shilling', 2), ('KRW', 'Won', 0),
  ('KWD', 'Kuwaiti dinar', 3), ('MAD', 'Moroccan dirham', 2), ('MXN', 'Mexican peso', 2), ('MYR', 'Malaysian ringgit', 2),
  ('NGN', 'Naira', 2), ('NOK', 'Norwegian krone', 2), ('NZD', 'New Zealand dollar', 2), ('OMR', 'Rial Omani', 3),
  ('PEN', 'Sol', 2), ('PHP', 'Philippine peso', 2), ('PKR', 'Pakistan rupee', 2), ('PLN', 'Zloty', 2),
  ('QAR', 'Qatari rial', 2), ('RON', 'Romanian leu', 2), ('RSD', 'Serbian dinar', 2), ('SAR', 'Saudi riyal', 2),
  ('SEK', 'Swedish krona', 2), ('SGD', 'Singapore dollar', 2), ('THB', 'Baht', 2), ('TND', 'Tunisian dinar', 3),
  ('TRY', 'Turkish lira', 2), ('TWD', 'New Taiwan dollar', 2), ('UAH', 'Hryvnia', 2), ('USD', 'US dollar', 2),
  ('UYU', 'Peso uruguayo', 2), ('VND', 'Dong', 0), ('XAF', 'CFA franc BEAC', 0), ('XOF', 'CFA franc BCEAO', 0),
  ('ZAR', 'Rand', 2);

INSERT INTO cm.region_default (region, currency, compliance_level) VALUES
  ('North America', 'USD', 'standard'), ('Latin America', 'USD', 'standard'), ('EMEA', 'EUR', 'standard'),
  ('APAC', 'USD', 'standard'), ('Global', 'USD', 'standard');
