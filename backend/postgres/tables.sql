-- The tables of a store. "{s}" stands for the schema.

CREATE TABLE {s}.meta (
	version int    NOT NULL, -- of all the tables and functions
	rev     bigint NOT NULL  -- of the bindings
);

CREATE TABLE {s}.bindings (
	queue text COLLATE "C" NOT NULL,
	kind  text COLLATE "C" NOT NULL,
	text  text COLLATE "C" NOT NULL,
	PRIMARY KEY (queue, kind, text)
);

-- Numbers that no other store of this name has had, one that was dropped included: receipts are made of them.
-- No CACHE: items are to be in the order in which they came over different connections.
CREATE SEQUENCE {s}.seq START WITH {start};

-- A row is written three times: enqueued, leased, acknowledged. Each time it leaves one of the partial indexes, so that
-- no update can be a heap-only one, and free space in the pages would be of no use.
CREATE TABLE {s}.items (
	seq        bigint      NOT NULL PRIMARY KEY,
	due        timestamptz NOT NULL,
	created    timestamptz NOT NULL,
	until      timestamptz,           -- end of the lease, or when it died
	deliveries int         NOT NULL DEFAULT 0,
	fails      int         NOT NULL DEFAULT 0,
	maxfails   int         NOT NULL,
	priority   smallint    NOT NULL CHECK (priority BETWEEN -128 AND 127),
	state      smallint    NOT NULL DEFAULT 0, -- 0 pending, 1 leased, 2 dead, 3 parked: pending while its serial is busy
	scope      smallint    NOT NULL DEFAULT 0,
	holds      boolean     NOT NULL DEFAULT false, -- its key, as far as it is for the scope and not for the hold
	id         text COLLATE "C" NOT NULL,
	queue      text COLLATE "C" NOT NULL,
	name       text COLLATE "C" NOT NULL,
	tid        text COLLATE "C", -- NULL is empty, from here on
	parent     text COLLATE "C",
	key        text COLLATE "C",
	serial     text COLLATE "C",
	worker     text COLLATE "C",
	reason     text COLLATE "C",
	headers    text COLLATE "C", -- JSON
	payload    bytea
) WITH (
	-- What was leased or acknowledged lies at the front of the indexes until it is cleaned up.
	autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0
);
CREATE UNIQUE INDEX items_id ON {s}.items (id);
CREATE INDEX items_pending ON {s}.items (queue, priority DESC, due, seq) WHERE state = 0;
CREATE INDEX items_leased ON {s}.items (queue, until) WHERE state = 1;
CREATE INDEX items_dead ON {s}.items (queue, seq) WHERE state = 2;
CREATE INDEX items_parked ON {s}.items (queue, serial, priority DESC, due, seq) WHERE state = 3;

-- Serials of which an item is leased.
CREATE TABLE {s}.busy (
	queue  text COLLATE "C" NOT NULL,
	serial text COLLATE "C" NOT NULL,
	seq    bigint NOT NULL,
	PRIMARY KEY (queue, serial)
);

-- Keys. Whether one is held is decided by enqueue alone, which locks the row: until has not passed, or the item is
-- there and holds it. So nobody else waits for a row of this table, and one that was left behind does no harm.
CREATE TABLE {s}.keys (
	queue  text COLLATE "C" NOT NULL,
	key    text COLLATE "C" NOT NULL,
	seq    bigint,      -- of the item that took it
	id     text COLLATE "C",
	until  timestamptz, -- end of the hold
	forget timestamptz, -- the same, when the item does not hold it any more
	PRIMARY KEY (queue, key)
);
CREATE INDEX keys_forget ON {s}.keys (forget) WHERE forget IS NOT NULL;

INSERT INTO {s}.meta VALUES ({version}, {start});
