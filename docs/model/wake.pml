/*
 * One mailbox with two readers: how they fall asleep, and who wakes them. See README.md.
 *
 * A step is what is atomic in the code: one load or store of a word that is read without a lock, or
 * all that happens under one gate, or under the ring's mutex.
 *
 * One of these breaks it: -DNOPASS -DARMLATE -DRESTEARLY -DBACKLATE
 */
#define EVENTS	3	/* of two senders */
#define BATCH	2	/* events that a loop takes at a time */
#define ALL	((1 << EVENTS) - 1)
#define bit(e)	(1 << (e))

/* The log, and the mailbox's cursor in it. */
bit gate;		/* the cursor's */
byte head;		/* position of the next event */
byte pos;		/* of the next event to read */
bit armed;
bit closed;		/* the cursor has left the log… */
bit forward;		/* …which copies into the ring now */
byte cleared;		/* the set of events whose slots have been cleared */

/* The mailbox. */
bit cur = 1;		/* it reads from the cursor, and then from the ring */
byte ring;		/* the set of events there */
bit token;		/* in notify */
byte waiters;
bit ended;
bit over;		/* Close has returned */
bit mu;			/* Server.mu */

byte got;		/* the set of events received */
byte inHand;		/* what a loop has taken and not received yet */
bit cancelled;		/* the context of the first reader */

inline signal() { token = 1 }

inline receive(e) {
	assert(!(got & bit(e)));		/* not twice */
	got = got | bit(e)
}

/* cursor.arm. At rest the log clears its slots, unless a loop may still give back what it holds. */
inline rest() {
#ifdef RESTEARLY
	cleared = bit(head) - 1
#else
	if :: inHand == 0 -> cleared = bit(head) - 1 :: else fi
#endif
}

inline arm() {
#ifdef ARMLATE
	atomic { !gate -> gate = 1; none = pos == head && !closed }
	d_step { if :: none -> armed = 1; rest() :: else fi; gate = 0 }
#else
	atomic { !gate -> none = pos == head && !closed; if :: none -> armed = 1; rest() :: else fi }
#endif
}

/* box.idle: none says that there is nothing to read. */
inline idle() {
	none = 0;
	if
	:: ended
	:: else ->
		c = cur;
		none = 1;
		if :: c -> arm() :: else fi;
		if :: none -> none = ring == 0 :: else fi
	fi
}

inline passOn() {
#ifndef NOPASS
	if
	:: waiters > 0 ->
		idle();
		if :: !none -> signal() :: else fi
	:: else
	fi
#else
	skip
#endif
}

/* take: n events from position first. */
inline take(most) {
	n = 0;
	c = cur;
	if
	:: c ->
		atomic {
			!gate ->
			inHand = (loop -> 0 : inHand);
			do
			:: pos < head && !closed && n < most ->
				assert(!over);			/* nothing after Close */
				assert(!(cleared & bit(pos)));	/* and nothing but what was sent */
				if :: loop -> inHand = inHand | bit(pos) :: else receive(pos) fi;
				last = pos + 1;
				pos++;
				n++
			:: else -> break
			od
		}
	:: else
	fi
}

/* ring.pop */
inline pop() {
	atomic {
		e = 0;
		do
		:: ring == 0 -> break
		:: ring & bit(e) ->
			assert(!over);
			ring = ring & ~bit(e);
			receive(e);
			n = 1;
			break
		:: else -> e++
		od;
		e = 0
	}
}

/* hand.drop: a loop is left with n events undelivered, up to position last. */
inline drop() {
	atomic {
		!gate ->
		back = n > 0 && !closed && pos == last;
		if :: back -> pos = pos - n; inHand = 0 :: else fi
	}
	if
	:: back || n == 0 -> signal()
	:: else ->
#ifdef BACKLATE
		if :: ended -> inHand = 0 :: else -> ring = ring | inHand; inHand = 0; signal() fi
#else
		atomic { if :: ended -> inHand = 0 :: else -> ring = ring | inHand; inHand = 0 fi };
		signal()
#endif
	fi
}
