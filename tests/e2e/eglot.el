;; Batch Emacs as a client: connects by examples/editors/emacs.el, types, and prints what eglot offers.
(defun wait-for (condition what)
  "Let processes run until CONDITION holds; WHAT is told where it never does."
  (let ((end (+ (float-time) 150)))
    (while (not (funcall condition))
      (when (> (float-time) end) (error "in vain: %s; %S" what (ignore-errors (offered))))
      (accept-process-output nil 0.1))))

(defun offered ()
  "The completions at point, each with its documentation."
  (pcase (run-hook-wrapped 'completion-at-point-functions #'completion--capf-wrapper 'all)
    (`(,_ ,_start ,_end ,table . ,properties)
     (let ((document (plist-get properties :company-doc-buffer)))
       (mapcar (lambda (text)
                 (let ((buffer (and document (funcall document text))))
                   (cons (substring-no-properties text)
                         (if buffer (with-current-buffer buffer (buffer-string)) ""))))
               (all-completions "" table))))))

(setq eglot-sync-connect 30 eglot-connect-timeout 60)
(require 'eglot)
(defvar p2assist-state "")
(cl-defmethod eglot-handle-notification
  (_server (_method (eql p2assist/status)) &key state &allow-other-keys)
  (setq p2assist-state state))
(load (getenv "EXAMPLE"))
(find-file (getenv "FILE"))
(run-hooks 'post-command-hook)          ; eglot-ensure connects after a command
(wait-for #'eglot-managed-p "a connection")
(wait-for (lambda () (member p2assist-state '("ready" "untrusted"))) "the server ready")
(goto-char (point-min))
(forward-line (1- (string-to-number (getenv "LINE"))))
(delete-region (progn (back-to-indentation) (point)) (line-end-position))
(insert (getenv "TYPED"))
(let (found)
  (wait-for (lambda () (setq found (offered))) "completions")
  ;; Where tests run, the evidence arrives after the first answer: ask until it is there.
  (when (getenv "EVIDENCE")
    (wait-for (lambda () (setq found (offered))
                (seq-some (lambda (one) (string-match-p (getenv "EVIDENCE") (cdr one))) found))
              "evidence"))
  (dolist (one found)
    (princ (format "%s\t%s\n" (json-encode (car one)) (json-encode (cdr one))))))
