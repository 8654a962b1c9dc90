-- To end leases. See enqueue.sql for how functions are written.

-- settle ends or prolongs leases. The settlements come in the order of seq, each seq once. It returns those that had an
-- effect, by their places, if not all had; and when there may be something to lease in which queues. Conditions with IS
-- NOT DISTINCT FROM are out of reach of the other indexes, which the planner may take for as good as that of seq while
-- there are few rows.
CREATE FUNCTION {s}.settle(
	p_seqs bigint[], p_deliveries int[], p_ids text[], p_queues text[], p_actions smallint[],
	p_ats timestamptz[], p_delays bigint[], p_reasons text[],
	OUT now timestamptz, OUT done int[], OUT queues text[], OUT dues timestamptz[]
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
	v_acks    int := (SELECT count(*) FROM unnest(p_actions) AS a WHERE a = 1);
	v_queues  text[];
	v_serials text[];
	v_keys    text[];
	v_seqs    bigint[];
BEGIN
	now := {now};
	done := '{}';
	IF v_acks > 0 AND v_acks < cardinality(p_seqs) THEN
		PERFORM FROM unnest(p_seqs) AS u(seq), LATERAL (SELECT FROM {s}.items i WHERE i.seq = u.seq FOR UPDATE) AS i;
	END IF;
	IF v_acks > 0 THEN
		WITH gone AS (
			DELETE FROM {s}.items i USING unnest(p_seqs, p_deliveries, p_ids, p_queues, p_actions) WITH ORDINALITY AS u(seq, deliveries, id, queue, action, ord)
			WHERE u.action = 1 AND i.seq = u.seq AND (i.state, i.deliveries, i.id, i.queue) IS NOT DISTINCT FROM (1::smallint, u.deliveries, u.id, u.queue)
			RETURNING u.ord::int AS ord, i.seq, i.queue, i.serial, i.key
		)
		SELECT coalesce(array_agg(ord), '{}'), array_agg(queue) FILTER (WHERE other), array_agg(serial) FILTER (WHERE other),
			array_agg(key) FILTER (WHERE other), array_agg(seq) FILTER (WHERE other)
		INTO done, v_queues, v_serials, v_keys, v_seqs
		FROM (SELECT *, serial IS NOT NULL OR key IS NOT NULL AS other FROM gone) AS t;
		queues := v_queues;
		dues := array_fill(now, ARRAY[coalesce(cardinality(queues), 0)]);
	END IF;
	IF v_acks < cardinality(p_seqs) THEN
		WITH given AS (
			SELECT * FROM unnest(p_seqs, p_deliveries, p_ids, p_queues, p_actions, p_ats, p_delays, p_reasons)
				WITH ORDINALITY AS u(seq, deliveries, id, queue, action, at, delay, reason, ord)
			WHERE action <> 1
		), changed AS (
			UPDATE {s}.items i SET
				state = CASE WHEN u.action = 5 THEN 1 WHEN u.action = 4 OR u.action = 2 AND {spent} THEN 2 ELSE 0 END,
				fails = i.fails + (u.action = 2)::int,
				due = CASE WHEN u.action = 2 AND NOT {spent} THEN coalesce(u.at, now + u.delay * interval '1 microsecond')
					WHEN u.action = 3 AND u.delay > 0 THEN now + u.delay * interval '1 microsecond' ELSE i.due END,
				until = CASE WHEN u.action = 5 THEN now + u.delay * interval '1 microsecond' WHEN u.action = 4 OR u.action = 2 AND {spent} THEN now END,
				reason = CASE WHEN u.action IN (2, 4) THEN nullif(u.reason, '') ELSE i.reason END,
				holds = i.holds AND NOT (u.action = 4 OR u.action = 2 AND {spent})
			FROM given u
			WHERE i.seq = u.seq AND (i.state, i.deliveries, i.id, i.queue) IS NOT DISTINCT FROM (1::smallint, u.deliveries, u.id, u.queue)
			RETURNING u.ord::int AS ord, u.action, i.seq, i.queue, i.serial, i.key, i.state, i.due
		)
		SELECT done || coalesce(array_agg(ord), '{}'),
			queues || array_agg(queue) FILTER (WHERE state = 0 OR serial IS NOT NULL AND action <> 5),
			dues || array_agg(CASE WHEN serial IS NOT NULL THEN now ELSE due END) FILTER (WHERE state = 0 OR serial IS NOT NULL AND action <> 5),
			v_queues || array_agg(queue) FILTER (WHERE action <> 5), v_serials || array_agg(serial) FILTER (WHERE action <> 5),
			v_keys || array_agg(CASE WHEN state = 2 THEN key END) FILTER (WHERE action <> 5), v_seqs || array_agg(seq) FILTER (WHERE action <> 5)
		INTO done, queues, dues, v_queues, v_serials, v_keys, v_seqs FROM changed;
	END IF;
	IF v_queues IS NOT NULL THEN
		PERFORM {s}.ended(now, v_queues, v_serials, v_keys, v_seqs);
	END IF;
	IF cardinality(done) = cardinality(p_seqs) THEN
		done := NULL;
	END IF;
END $$;

-- reap takes back leases that have expired, of some queues or, with NULL, of all, and returns how many and in which queues.
CREATE FUNCTION {s}.reap(p_queues text[], p_max int, OUT n int, OUT queues text[])
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
	v_now     timestamptz := {now};
	v_rows    tid[];
	v_serials text[];
	v_keys    text[];
	v_seqs    bigint[];
BEGIN
	IF p_queues IS NULL THEN
		v_rows := ARRAY(SELECT ctid FROM {s}.items WHERE state = 1 AND until <= v_now LIMIT p_max FOR UPDATE SKIP LOCKED);
	ELSE
		v_rows := ARRAY(SELECT i.ctid FROM (SELECT DISTINCT unnest(p_queues) AS name) AS q, LATERAL (
			SELECT ctid FROM {s}.items WHERE queue = q.name AND state = 1 AND until <= v_now ORDER BY until LIMIT p_max FOR UPDATE SKIP LOCKED) AS i
			LIMIT p_max);
	END IF;
	WITH changed AS (
		UPDATE {s}.items i SET
			state = CASE WHEN {spent} THEN 2 ELSE 0 END, fails = i.fails + 1, until = CASE WHEN {spent} THEN v_now END,
			reason = 'the lease of worker "' || coalesce(i.worker, '') || '" has expired', holds = i.holds AND NOT {spent}
		WHERE i.ctid = ANY (v_rows) AND i.state = 1
		RETURNING i.seq, i.queue, i.serial, i.key, i.state
	)
	SELECT count(*), array_agg(queue), array_agg(serial), array_agg(CASE WHEN state = 2 THEN key END), array_agg(seq)
	INTO n, queues, v_serials, v_keys, v_seqs FROM changed;
	PERFORM {s}.ended(v_now, queues, v_serials, v_keys, v_seqs);
	IF p_queues IS NULL THEN -- what outkey has left behind
		DELETE FROM {s}.keys WHERE ctid = ANY (ARRAY(SELECT k.ctid FROM {s}.keys k WHERE k.until <= v_now
			AND NOT EXISTS (SELECT FROM {s}.items i WHERE i.seq = k.seq AND i.holds) FOR UPDATE SKIP LOCKED));
	END IF;
END $$;

-- mend makes an item pending of each serial that has parked ones while none is leased, for what has become of tables that
-- others have changed, or that were restored from a part of them. It goes on behind a queue and a serial, for p_max
-- serials, and returns where it got to, empty at the end, and what queues have more. Mostly one of the serial is pending
-- already. To make one more so is harmless: lease parks it again.
CREATE FUNCTION {s}.mend(p_queue text, p_serial text, p_max int, OUT queue text, OUT serial text, OUT queues text[])
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
#variable_conflict use_column
DECLARE
	v_at  record;
	v_seq bigint;
BEGIN
	queue := p_queue;
	serial := p_serial;
	queues := '{}';
	FOR n IN 1 .. p_max LOOP
		SELECT i.queue, i.serial INTO v_at FROM {s}.items i WHERE i.state = 3 AND (i.queue, i.serial) > (p_queue, p_serial)
		ORDER BY i.queue, i.serial LIMIT 1;
		IF NOT FOUND THEN
			queue := '';
			serial := '';
			RETURN;
		END IF;
		p_queue := v_at.queue;
		p_serial := v_at.serial;
		queue := p_queue;
		serial := p_serial;
		IF NOT EXISTS (SELECT FROM {s}.busy b WHERE b.queue = p_queue AND b.serial = p_serial) THEN
			SELECT i.seq INTO v_seq FROM {s}.items i WHERE i.queue = p_queue AND i.serial = p_serial AND i.state = 3
			ORDER BY i.priority DESC, i.due, i.seq LIMIT 1 FOR UPDATE SKIP LOCKED;
			IF FOUND THEN
				UPDATE {s}.items SET state = 0 WHERE seq = v_seq;
				queues := queues || p_queue;
			END IF;
		END IF;
	END LOOP;
END $$;

-- ended does what is left to do for items whose lease has ended: their serials are free, and the keys of those that are
-- acknowledged or dead.
CREATE FUNCTION {s}.ended(p_now timestamptz, p_queues text[], p_serials text[], p_keys text[], p_seqs bigint[]) RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
	v_free record;
BEGIN
	FOR v_free IN
		SELECT queue, serial, seq FROM unnest(p_queues, p_serials, p_seqs) AS u(queue, serial, seq)
		WHERE serial IS NOT NULL ORDER BY queue COLLATE "C", serial COLLATE "C"
	LOOP
		DELETE FROM {s}.busy WHERE queue = v_free.queue AND serial = v_free.serial AND seq = v_free.seq;
		PERFORM {s}.unpark(v_free.queue, v_free.serial);
	END LOOP;
	IF EXISTS (SELECT FROM unnest(p_keys) AS k WHERE k IS NOT NULL) THEN
		PERFORM {s}.outkey(p_now, p_queues, p_keys, p_seqs);
	END IF;
END $$;

-- unpark makes the first parked item of a serial pending, if there is one. To unpark one too many is harmless: lease
-- parks it again.
CREATE FUNCTION {s}.unpark(p_queue text, p_serial text) RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
#variable_conflict use_column
DECLARE
	v_seq bigint;
BEGIN
	SELECT seq INTO v_seq FROM {s}.items WHERE queue = p_queue AND serial = p_serial AND state = 3
	ORDER BY priority DESC, due, seq LIMIT 1 FOR UPDATE;
	UPDATE {s}.items SET state = 0 WHERE seq = v_seq;
END $$;

-- outkey lets go the keys of items that do not hold them any more. A row that enqueue has locked is left to it.
CREATE FUNCTION {s}.outkey(p_now timestamptz, p_queues text[], p_keys text[], p_seqs bigint[]) RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
	v_rows tid[];
BEGIN
	v_rows := ARRAY(SELECT k.ctid FROM unnest(p_queues, p_keys, p_seqs) AS u(queue, key, seq), LATERAL (
			SELECT ctid FROM {s}.keys WHERE queue = u.queue AND key = u.key AND seq = u.seq FOR UPDATE SKIP LOCKED) AS k);
	DELETE FROM {s}.keys WHERE ctid = ANY (v_rows) AND until <= p_now;
	UPDATE {s}.keys SET forget = until WHERE ctid = ANY (v_rows);
END $$;
