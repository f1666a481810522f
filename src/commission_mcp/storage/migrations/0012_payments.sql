-- Approving, holding and paying payouts: every step is an event that is added and never changed; a payout's status is its last.

CREATE TABLE cm.payout_event (
  client_id text NOT NULL,
  payout_id uuid NOT NULL,
  event_no int NOT NULL CHECK (event_no > 0),
  status text NOT NULL CHECK (status IN ('draft', 'approved', 'held', 'paid', 'void')),
  decided_by text NOT NULL,
  decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  paid_on date,
  reference text CHECK (reference <> ''),
  comment text CHECK (comment <> ''),
  PRIMARY KEY (client_id, payout_id, event_no),
  FOREIGN KEY (client_id, payout_id) REFERENCES cm.payout,
  FOREIGN KEY (client_id, decided_by) REFERENCES cm.app_user (client_id, user_id),
  CHECK ((status = 'paid') = (paid_on IS NOT NULL)),
  CHECK ((status = 'paid') = (reference IS NOT NULL)),
  CHECK (status <> 'held' OR comment IS NOT NULL)
);
CREATE INDEX payout_by_run ON cm.payout (client_id, run_id);

CALL cm_priv.protect('cm.payout_event');
REVOKE UPDATE, DELETE ON cm.payout_event FROM cm_writer;
REVOKE UPDATE, DELETE ON cm.payout FROM cm_writer;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON cm.payout_event
  FOR EACH STATEMENT EXECUTE FUNCTION cm.refuse_change();

-- An event moves its payout on, along the ways that there are; what is paid or void stays.
CREATE FUNCTION cm_priv.note_payout() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  wrong record;
BEGIN
  SELECT p.payout_id, p.status AS before, e.status AS after INTO wrong
  FROM changed e JOIN cm.payout p ON p.client_id = e.client_id AND p.payout_id = e.payout_id
  WHERE (p.status, e.status) NOT IN (('draft', 'approved'), ('draft', 'held'), ('held', 'draft'), ('approved', 'held'),
    ('approved', 'paid'), ('draft', 'void'), ('held', 'void'), ('approved', 'void'))
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'payout % is % and cannot become %', wrong.payout_id, wrong.before, wrong.after
      USING ERRCODE = 'restrict_violation';
  END IF;
  UPDATE cm.payout p SET status = e.status FROM changed e WHERE p.client_id = e.client_id AND p.payout_id = e.payout_id;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION cm_priv.note_payout() FROM PUBLIC;
CREATE TRIGGER moves_on AFTER INSERT ON cm.payout_event REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION cm_priv.note_payout();

CREATE FUNCTION cm.keep_payout() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF OLD.status IN ('paid', 'void') OR to_jsonb(NEW) - 'status' IS DISTINCT FROM to_jsonb(OLD) - 'status' THEN
    RAISE EXCEPTION 'payout % is % and stays as it is', OLD.payout_id, OLD.status USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION cm.keep_payout() FROM PUBLIC;
CREATE TRIGGER immutable BEFORE UPDATE ON cm.payout FOR EACH ROW EXECUTE FUNCTION cm.keep_payout();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON cm.payout
  FOR EACH STATEMENT EXECUTE FUNCTION cm.refuse_change();

-- Whether somebody else than who ran a period approves its payouts.
ALTER TABLE cm.approval_policy
  DROP CONSTRAINT approval_policy_step_check,
  ADD CONSTRAINT approval_policy_step_check CHECK (step IN ('manager_approval', 'finance_review', 'compliance_check',
    'payee_acknowledgement', 'payout_approval')),
  ADD CONSTRAINT payouts_are_approved_by_finance CHECK (step <> 'payout_approval' OR deciding_role = 'finance');

CREATE OR REPLACE VIEW commission.payouts AS
SELECT o.client_id, o.payout_id, o.payee_id, o.period_id, o.run_id, o.amount, o.carried_balance, o.currency, o.status,
  (SELECT e.decided_by FROM cm.payout_event e WHERE e.client_id = o.client_id AND e.payout_id = o.payout_id
   AND e.status = 'approved' AND o.status IN ('approved', 'paid') ORDER BY e.event_no DESC LIMIT 1) AS approved_by,
  (SELECT e.decided_at FROM cm.payout_event e WHERE e.client_id = o.client_id AND e.payout_id = o.payout_id
   AND e.status = 'approved' AND o.status IN ('approved', 'paid') ORDER BY e.event_no DESC LIMIT 1) AS approved_at,
  (SELECT e.paid_on FROM cm.payout_event e WHERE e.client_id = o.client_id AND e.payout_id = o.payout_id
   AND e.status = 'paid') AS paid_on,
  (SELECT e.reference FROM cm.payout_event e WHERE e.client_id = o.client_id AND e.payout_id = o.payout_id
   AND e.status = 'paid') AS reference
FROM cm.payout o;
COMMENT ON COLUMN commission.payouts.approved_by IS 'Who approved it: users.user_id; null until then.';
COMMENT ON COLUMN commission.payouts.approved_at IS 'When it was approved.';
COMMENT ON COLUMN commission.payouts.paid_on IS 'Day on which it was paid.';
COMMENT ON COLUMN commission.payouts.reference IS 'Reference of the payment.';

CREATE VIEW commission.payout_events AS
SELECT client_id, payout_id, event_no, status, decided_by, decided_at, paid_on, reference, comment FROM cm.payout_event;
COMMENT ON VIEW commission.payout_events IS 'How payouts got their status, step by step. Key: payout_id, event_no.';
COMMENT ON COLUMN commission.payout_events.client_id IS 'The client; always your own.';
COMMENT ON COLUMN commission.payout_events.payout_id IS 'The payout: payouts.payout_id.';
COMMENT ON COLUMN commission.payout_events.event_no IS 'Number of the step of this payout.';
COMMENT ON COLUMN commission.payout_events.status IS 'What it became: approved, held, paid, void, or draft again.';
COMMENT ON COLUMN commission.payout_events.decided_by IS 'Who did it: users.user_id.';
COMMENT ON COLUMN commission.payout_events.decided_at IS 'When it was noted.';
COMMENT ON COLUMN commission.payout_events.paid_on IS 'Day on which it was paid.';
COMMENT ON COLUMN commission.payout_events.reference IS 'Reference of the payment.';
COMMENT ON COLUMN commission.payout_events.comment IS 'Why.';

GRANT SELECT ON commission.payouts, commission.payout_events TO cm_reader;

RESET ROLE;
ALTER FUNCTION cm_priv.note_payout() OWNER TO cm_ops;
SET LOCAL ROLE cm_owner;
