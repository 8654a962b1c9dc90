-- To lease. See enqueue.sql for how functions are written.

-- lease leases items. The last row has seq 0 and says in until what time it is, and in due when it is worthwhile to look
-- again, if fewer than p_max were found; NULL is never. With p_reaped false it does nothing if there are leases that have
-- expired: then deliveries of that row is 1. It is 2 if there may be more, which it did not look at. Nobody waits for the
-- answer after p_within microseconds: then it leases nothing. The payloads of an answer have p_bytes together, or it is one.
CREATE FUNCTION {s}.lease(p_queues text[], p_max int, p_ttl bigint, p_worker text, p_reaped boolean, p_within bigint, p_bytes bigint)
RETURNS TABLE (
	seq bigint, id text, queue text, name text, tid text, parent text, payload bytea, headers text, priority smallint, maxfails int,
	due timestamptz, key text, scope smallint, serial text, until timestamptz, deliveries int, fails int
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_sort = off AS $$
#variable_conflict use_column
DECLARE
	v_now      timestamptz := {now};
	v_taken    timestamptz;
	v_next     timestamptz;
	v_again    boolean := false;
	v_queue    text;
	v_first    record;
	v_top      int;
	v_due      timestamptz;
	v_priority int := 127;  -- where we are
	v_left     int := p_max; -- how many are wanted still
	v_look     int := p_max; -- how many we look at; more than that if many cannot be leased for their serials
	v_looked   int := 0;    -- how many we have looked at among which there were serials
	v_parked   int := 0;
	v_room     bigint := p_bytes;
	v_size     bigint;      -- of the payloads of v_rows
	v_sum      bigint;
	v_full     boolean;     -- there is no room for some
	v_names    text[];      -- the queues
	v_quotas   int[];       -- how many of each
	v_rows     tid[];       -- what we have locked
	v_more     tid[];
	v_n        int;
	v_found    int;
	v_last     boolean;     -- there are no more of this priority
	v_serials  boolean;
	v_keys     boolean;
	v_s        boolean;
	v_k        boolean;
	v_won      bigint[];
BEGIN
	IF NOT p_reaped THEN
		FOREACH v_queue IN ARRAY p_queues LOOP
			IF EXISTS (SELECT FROM {s}.items i WHERE i.queue = v_queue AND i.state = 1 AND i.until <= v_now) THEN
				RETURN QUERY SELECT 0::bigint, '', '', '', '', '', NULL::bytea, '', 0::smallint, 0, NULL::timestamptz, '', 0::smallint, '', v_now, 1, 0;
				RETURN;
			END IF;
		END LOOP;
	END IF;
	LOOP
		-- The highest priority, from here on down, of which there are items, and the first of those. Each scan from the
		-- front of the index passes by all that was leased since the last VACUUM, so there are as few as can be.
		IF v_rows IS NULL THEN
			v_top := NULL;
			FOREACH v_queue IN ARRAY p_queues LOOP
				SELECT i.priority, i.due INTO v_first FROM {s}.items i WHERE i.queue = v_queue AND i.state = 0 AND i.priority <= v_priority
				ORDER BY i.priority DESC, i.due, i.seq LIMIT 1;
				IF v_top IS NULL OR v_first.priority > v_top THEN
					v_top := v_first.priority;
					v_due := v_first.due;
				ELSIF v_first.priority = v_top THEN
					v_due := least(v_due, v_first.due);
				END IF;
			END LOOP;
			EXIT WHEN v_top IS NULL;
			v_priority := v_top;
			IF v_due > v_now THEN
				v_next := least(v_next, v_due);
				v_priority := v_priority - 1;
				CONTINUE;
			END IF;
		END IF;

		IF cardinality(p_queues) = 1 THEN
			v_names := p_queues;
			v_quotas := ARRAY[v_look];
		ELSE
			SELECT array_agg(name), array_agg(n) INTO v_names, v_quotas FROM (
				SELECT name, count(*)::int AS n FROM (
					SELECT q.name FROM (SELECT DISTINCT unnest(p_queues) AS name) AS q, LATERAL (
						SELECT i.due, i.seq FROM {s}.items i WHERE i.queue = q.name AND i.state = 0 AND i.priority = v_priority AND i.due <= v_now
						ORDER BY i.due, i.seq LIMIT v_look) AS t
					ORDER BY t.due, t.seq LIMIT v_look) AS first
				GROUP BY name) AS counted;
		END IF;
		v_rows := NULL;
		v_serials := false;
		v_keys := false;
		v_size := 0;
		FOR n IN 1 .. coalesce(cardinality(v_names), 0) LOOP
			SELECT array_agg(c.ctid), bool_or(c.serial IS NOT NULL), bool_or(c.holds AND c.scope = 1), sum(octet_length(c.payload)) INTO v_more, v_s, v_k, v_sum FROM (
				SELECT i.ctid, i.serial, i.holds, i.scope, i.payload FROM {s}.items i
				WHERE i.queue = v_names[n] AND i.state = 0 AND i.priority = v_priority AND i.due <= v_now
				ORDER BY i.due, i.seq LIMIT v_quotas[n] FOR UPDATE SKIP LOCKED) AS c;
			v_rows := v_rows || v_more;
			v_serials := v_serials OR coalesce(v_s, false);
			v_keys := v_keys OR coalesce(v_k, false);
			v_size := v_size + coalesce(v_sum, 0);
		END LOOP;
		v_found := coalesce(cardinality(v_rows), 0);
		v_full := v_size > v_room;
		v_last := v_found < v_look AND NOT v_full;
		IF v_full THEN
			v_more := v_rows;
			v_rows := ARRAY(SELECT c.place FROM (
				SELECT i.ctid AS place, i.due, i.seq, row_number() OVER w AS nth, sum(coalesce(octet_length(i.payload), 0)) OVER w AS size
				FROM {s}.items i WHERE i.ctid = ANY (v_more) WINDOW w AS (ORDER BY i.due, i.seq)) AS c
				WHERE c.size <= v_room OR c.nth = 1 AND v_left = p_max ORDER BY c.due, c.seq);
		END IF;
		v_won := NULL;
		IF v_serials THEN
			v_looked := v_looked + v_found;
			-- Those whose serial is busy are parked. The lock sees to it that who frees the serial afterwards finds
			-- them. If somebody is just freeing it, they are left as they are.
			WITH locked AS MATERIALIZED (
				SELECT i.ctid FROM {s}.items i, LATERAL (
					SELECT FROM {s}.busy b WHERE b.queue = i.queue AND b.serial = i.serial FOR KEY SHARE SKIP LOCKED) AS b
				WHERE i.ctid = ANY (v_rows) AND i.serial IS NOT NULL)
			UPDATE {s}.items SET state = 3 WHERE ctid = ANY (ARRAY(SELECT ctid FROM locked));
			GET DIAGNOSTICS v_n = ROW_COUNT;
			v_parked := v_parked + v_n;
			-- Of the others, the first of each serial.
			WITH first AS (
				SELECT DISTINCT ON (i.queue, i.serial) i.queue, i.serial, i.seq FROM {s}.items i
				WHERE i.ctid = ANY (v_rows) AND i.serial IS NOT NULL
					AND NOT EXISTS (SELECT FROM {s}.busy b WHERE b.queue = i.queue AND b.serial = i.serial)
				ORDER BY i.queue, i.serial, i.due, i.seq
			), won AS (
				INSERT INTO {s}.busy (queue, serial, seq) SELECT queue, serial, seq FROM first ORDER BY queue, serial
				ON CONFLICT (queue, serial) DO NOTHING
				RETURNING seq
			)
			SELECT array_agg(seq) INTO v_won FROM won;
			v_more := v_rows;
			v_rows := ARRAY(SELECT i.ctid FROM {s}.items i WHERE i.ctid = ANY (v_more) AND (i.serial IS NULL OR i.seq = ANY (v_won))
				ORDER BY i.due, i.seq LIMIT v_left);
			DELETE FROM {s}.busy b USING {s}.items i
			WHERE i.ctid = ANY (v_more) AND NOT i.ctid = ANY (v_rows) AND i.seq = ANY (v_won) AND b.queue = i.queue AND b.serial = i.serial AND b.seq = i.seq;
		END IF;
		IF NOT v_serials AND v_found > v_left THEN
			v_more := v_rows;
			v_rows := ARRAY(SELECT i.ctid FROM {s}.items i WHERE i.ctid = ANY (v_more) ORDER BY i.due, i.seq LIMIT v_left);
		END IF;
		IF v_keys THEN
			PERFORM {s}.outkey(v_now, array_agg(i.queue), array_agg(i.key), array_agg(i.seq)) FROM {s}.items i
			WHERE i.ctid = ANY (v_rows) AND i.holds AND i.scope = 1;
		END IF;
		-- The time since v_now may have been long, and the item another's until just now.
		v_taken := {now};
		IF v_taken > v_now + p_within * interval '1 microsecond' THEN
			RAISE EXCEPTION USING ERRCODE = 'query_canceled', MESSAGE = 'nobody waits for the items any more';
		END IF;
		RETURN QUERY UPDATE {s}.items i SET
			state = 1, until = v_taken + p_ttl * interval '1 microsecond', worker = nullif(p_worker, ''), deliveries = i.deliveries + 1,
			holds = i.holds AND i.scope = 0
		WHERE i.ctid = ANY (v_rows)
		RETURNING i.seq, i.id, i.queue, i.name, coalesce(i.tid, ''), coalesce(i.parent, ''), i.payload, coalesce(i.headers, ''), i.priority,
			i.maxfails, i.due, coalesce(i.key, ''), i.scope, coalesce(i.serial, ''), i.until, i.deliveries, i.fails;
		GET DIAGNOSTICS v_n = ROW_COUNT;
		v_left := v_left - v_n;
		EXIT WHEN v_left = 0;
		IF v_full AND v_left < p_max THEN
			v_again := true;
			EXIT;
		END IF;
		IF v_n > 0 THEN
			v_room := v_room - v_size;
		END IF;
		-- To insert into busy twice could lead in a circle, and to park very many takes longer than anybody waits. Who
		-- asks looks again at once, unless all these are in the hands of others.
		IF v_won IS NOT NULL OR v_looked >= 1000 THEN
			v_again := v_won IS NOT NULL OR v_parked > 0;
			v_next := least(v_next, v_now);
			EXIT;
		END IF;
		IF v_last THEN
			-- What is due and not among these is in the hands of another call, which may not take it, or its serial
			-- was freed just now.
			IF v_serials OR v_found = 0 THEN
				v_next := least(v_next, v_now);
			END IF;
			FOREACH v_queue IN ARRAY p_queues LOOP
				SELECT least(v_next, i.due) INTO v_next FROM (SELECT) AS one LEFT JOIN LATERAL (
					SELECT i.due FROM {s}.items i WHERE i.queue = v_queue AND i.state = 0 AND i.priority = v_priority AND i.due > v_now
					ORDER BY i.due, i.seq LIMIT 1) AS i ON true;
			END LOOP;
			v_rows := NULL;
			v_priority := v_priority - 1;
			v_look := v_left;
		ELSE
			v_look := greatest(v_left, least(v_look * 4, 1000));
		END IF;
	END LOOP;
	IF v_again THEN
		v_next := v_now;
	ELSIF v_left > 0 THEN
		FOREACH v_queue IN ARRAY p_queues LOOP
			SELECT least(v_next, i.until) INTO v_next FROM (SELECT) AS one LEFT JOIN LATERAL (
				SELECT i.until FROM {s}.items i WHERE i.queue = v_queue AND i.state = 1 ORDER BY i.until LIMIT 1) AS i ON true;
		END LOOP;
	END IF;
	RETURN QUERY SELECT 0::bigint, '', '', '', '', '', NULL::bytea, '', 0::smallint, 0, v_next, '', 0::smallint, '', {now}, v_again::int * 2, 0;
END $$;

-- next returns when the next item of the queues is due, or the next lease of theirs expires; NULL is never.
CREATE FUNCTION {s}.next(p_queues text[]) RETURNS timestamptz
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
#variable_conflict use_column
DECLARE
	v_next     timestamptz;
	v_at       timestamptz;
	v_queue    text;
	v_priority int;
BEGIN
	FOREACH v_queue IN ARRAY p_queues LOOP
		v_priority := 127;
		LOOP
			SELECT priority INTO v_priority FROM {s}.items WHERE queue = v_queue AND state = 0 AND priority <= v_priority
			ORDER BY priority DESC LIMIT 1;
			EXIT WHEN v_priority IS NULL;
			SELECT due INTO v_at FROM {s}.items WHERE queue = v_queue AND state = 0 AND priority = v_priority ORDER BY due, seq LIMIT 1;
			v_next := least(v_next, v_at);
			v_priority := v_priority - 1;
		END LOOP;
		SELECT until INTO v_at FROM {s}.items WHERE queue = v_queue AND state = 1 ORDER BY until LIMIT 1;
		v_next := least(v_next, v_at);
	END LOOP;
	RETURN v_next;
END $$;
