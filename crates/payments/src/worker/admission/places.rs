//! The places for exchanges: how many there are, and who may take them.

use cryptopay_store::delivery::Lane;

/// What this process has seen of an endpoint lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Its last exchange ended quickly.
    Answers,
    /// It hangs, is slow, or was never heard of.
    Doubtful,
}

/// Places for exchanges.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places {
    prompt: LanePlaces,
    patient: LanePlaces,
}

/// The places of a lane, of which doubtful endpoints get a part alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LanePlaces {
    all: Share,
    doubtful: Share,
}

#[derive(Debug, PartialEq, Eq)]
struct Share {
    taken: usize,
    of: usize,
}

impl Places {
    /// An eighth of all places is for the patient lane. Doubtful endpoints get seven eighths of the prompt lane's, and
    /// three quarters of the patient one's.
    pub(super) fn for_exchanges(in_flight: usize) -> Self {
        let patient = in_flight / 8;
        Self { prompt: LanePlaces::new(in_flight - patient, 8), patient: LanePlaces::new(patient, 4) }
    }

    pub(super) fn of(&self, lane: Lane) -> &LanePlaces {
        match lane {
            Lane::Prompt => &self.prompt,
            Lane::Patient => &self.patient,
        }
    }

    pub(super) fn of_mut(&mut self, lane: Lane) -> &mut LanePlaces {
        match lane {
            Lane::Prompt => &mut self.prompt,
            Lane::Patient => &mut self.patient,
        }
    }
}

impl LanePlaces {
    /// So many places, one in `kept` of which is kept from doubtful endpoints.
    fn new(places: usize, kept: usize) -> Self {
        let places = places.max(1);
        Self {
            all: Share { taken: 0, of: places },
            doubtful: Share { taken: 0, of: (places - places / kept).max(1) },
        }
    }

    /// How many places nobody has.
    pub(super) fn left(&self) -> usize {
        self.all.left()
    }

    /// Takes a place, if there is one.
    pub(super) fn enter(&mut self, trust: Trust) -> bool {
        let doubtful = trust == Trust::Doubtful;
        if self.all.left() == 0 || (doubtful && self.doubtful.left() == 0) {
            return false;
        }
        self.all.taken += 1;
        self.doubtful.taken += usize::from(doubtful);
        true
    }

    pub(super) fn leave(&mut self, trust: Trust) {
        self.all.taken -= 1;
        self.doubtful.taken -= usize::from(trust == Trust::Doubtful);
    }
}

impl Share {
    fn left(&self) -> usize {
        self.of.saturating_sub(self.taken)
    }
}
