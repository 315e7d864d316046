package flows

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"
)

// ReleaseSeen says that a service began to send as a version.
type ReleaseSeen struct {
	Service     string // its service.name
	Environment string // deployment.environment.name, "" for the default one
	Version     string // its service.version, never ""
	At          Time   // start of the first span
}

// Release is a service that came to send as another version than before, as seen from its
// spans.
type Release struct {
	ReleaseSeen
	Before string // version
}

const (
	// releaseBack is how long a version must have been away to be seen to begin again: while a
	// roll-out goes on, two send side by side.
	releaseBack = 2 * time.Minute
	maxReleases = 10_000 // in memory; what is beyond is seen to begin again, which changes no answer
)

// ReleaseWatch notices when services begin to send as a version. Its zero value has seen none.
// What it says may repeat itself, after a restart and where several processes watch: Releases
// takes that out.
type ReleaseWatch struct {
	services map[string]map[string]*runningVersions // by service, then environment
	held     int
}

// runningVersions are the versions of a service in one environment.
type runningVersions struct {
	newest string          // the one that began last
	last   map[string]Time // when each was seen last
}

// Saw takes in a span of a version, and says whether the version begins with it: it was never
// seen, or was away while another one ran. It does not allocate where it does not begin.
func (v *ReleaseWatch) Saw(service string, environment, version []byte, at Time) bool {
	r := v.services[service][string(environment)]
	if r == nil {
		r = v.add(service, string(environment))
	}
	last, known := r.last[string(version)]
	if known && at <= last {
		return false
	}
	begins := !known || r.newest != string(version) && at.Sub(last) > releaseBack
	if known && !begins && at.Sub(last) < time.Second { // a write to the map for each batch is not worth it
		return false
	}
	r.last[string(version)] = at
	if !known {
		v.held++
	}
	if begins {
		r.newest = string(version)
	}
	return begins
}

func (v *ReleaseWatch) add(service, environment string) *runningVersions {
	if v.services == nil || v.held > maxReleases {
		v.services, v.held = map[string]map[string]*runningVersions{}, 0
	}
	if v.services[service] == nil {
		v.services[service] = map[string]*runningVersions{}
	}
	r := &runningVersions{last: map[string]Time{}}
	v.services[service][environment] = r
	v.held++
	return r
}

// Releases finds what changed in the order of time, the latest first; seen is in any
// order and may repeat itself. The first version that was ever seen of a service is no change.
func Releases(seen []ReleaseSeen) []Release {
	sorted := slices.Clone(seen)
	slices.SortFunc(sorted, func(a, b ReleaseSeen) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.At, b.At), cmp.Compare(a.Version, b.Version))
	})
	var changes []Release
	for i := 1; i < len(sorted); i++ {
		before, now := sorted[i-1], sorted[i]
		if before.Service == now.Service && before.Environment == now.Environment && before.Version != now.Version {
			changes = append(changes, Release{now, before.Version})
		}
	}
	slices.SortStableFunc(changes, func(a, b Release) int { return cmp.Compare(b.At, a.At) })
	return changes
}

const (
	serviceVersion  = "service.version"             // OpenTelemetry's semantic conventions
	environmentName = "deployment.environment.name" // as above
)

// EachVersion calls f for each resource that names a service and its version, with the
// environment, nil for the default one, and the start of the block's first span. f must not
// keep the bytes.
func (b *SpanBlock) EachVersion(f func(service string, environment, version []byte, at Time)) {
	if b.Rows == 0 {
		return
	}
	at := Time(binary.LittleEndian.Uint64(b.columns[SpanStarts]))
	for i := range b.Resources {
		r := &b.Resources[i]
		var version, environment []byte
		values := r.Values
		for _, name := range r.Names {
			var value []byte
			value, values = SpanText(values)
			switch b.Words[name] {
			case serviceVersion:
				version = value
			case environmentName:
				environment = value
			}
		}
		if service := b.Words[r.Service]; service != "" && len(version) > 0 {
			f(service, environment, version, at)
		}
	}
}
